#include "gas/models/image_size.h"

#include <charconv>

#include "gas/core/error.h"

namespace gas {
namespace {

constexpr int64_t kMostPixels = 8192;  // a side

std::optional<int64_t> SideIn(std::string_view text) {
  int64_t side = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), side);
  if (error != std::errc() || end != text.data() + text.size() || side < 1) return std::nullopt;
  return side;
}

}  // namespace

std::optional<ImageSize> ImageSizeIn(std::string_view text) {
  const size_t x = text.find('x');
  if (x == text.npos) return std::nullopt;
  const auto width = SideIn(text.substr(0, x)), height = SideIn(text.substr(x + 1));
  if (!width || !height) return std::nullopt;
  return ImageSize{*width, *height};
}

ImageSize ParseImageSize(std::string_view what, std::string_view text) {
  const auto size = ImageSizeIn(text);
  GAS_CHECK(size, Errc::kBadOption, what, " = ", text, ", must be width and height such as 768x512");
  return *size;
}

std::string FormatImageSize(const ImageSize& size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

void CheckImageSize(const ImageSize& size, int64_t multiple) {
  for (const int64_t side : {size.width, size.height}) {
    GAS_CHECK(side >= multiple && side <= kMostPixels && side % multiple == 0, Errc::kBadOption,
              "model.size = ", FormatImageSize(size), ", must be multiples of ", multiple, " in [", multiple,
              ", ", kMostPixels, "]");
  }
}

}  // namespace gas
