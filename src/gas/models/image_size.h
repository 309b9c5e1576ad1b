// The size of images that a model is asked for.
#ifndef GAS_MODELS_IMAGE_SIZE_H_
#define GAS_MODELS_IMAGE_SIZE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gas {

// Of images, in pixels.
struct ImageSize {
  int64_t width = 0, height = 0;
  bool operator==(const ImageSize&) const = default;
};

// "768x512", width first; nothing for other texts and sides below 1.
std::optional<ImageSize> ImageSizeIn(std::string_view text);

// The same. Throws Error(kBadOption), which begins with `what`, where ImageSizeIn has nothing.
ImageSize ParseImageSize(std::string_view what, std::string_view text);

std::string FormatImageSize(const ImageSize& size);

// Throws Error(kBadOption) unless both sides are multiples of `multiple` that some machine could draw.
void CheckImageSize(const ImageSize& size, int64_t multiple);

}  // namespace gas

#endif  // GAS_MODELS_IMAGE_SIZE_H_
