#include "gas/report/image_grid.h"

#include "gas/core/error.h"
#include "gas/io/png.h"
#include "gas/report/text.h"

namespace gas {
namespace {

constexpr int64_t kGap = 2;

// [N,C,H,W] float -> [N,C,scale H,scale W] uint8.
Tensor Magnified(const Tensor& images, int64_t scale) {
  return ToBytes(images).repeat_interleave(scale, 2).repeat_interleave(scale, 3);
}

void Paste(Tensor& canvas, const Tensor& image, int64_t x, int64_t y) {
  canvas.slice(1, y, y + image.size(1)).slice(2, x, x + image.size(2)).copy_(image);
}

}  // namespace

Tensor LabelledGrid(const std::vector<LabelledRow>& rows, int64_t scale) {
  GAS_CHECK(!rows.empty(), Errc::kBadOption, "image grid: no rows");
  const Tensor& first = rows[0].images;
  const int64_t channels = first.size(1), cell_h = first.size(2) * scale + kGap,
                cell_w = first.size(3) * scale + kGap;
  size_t longest = 0;
  int64_t columns = 0;
  for (const LabelledRow& row : rows) {
    longest = std::max(longest, row.label.size());
    columns = std::max(columns, row.images.size(0));
  }
  const int64_t margin = (static_cast<int64_t>(longest) + 1) * kGlyphWidth * 2;
  Tensor canvas =
      torch::full({channels, static_cast<int64_t>(rows.size()) * cell_h + kGap, margin + columns * cell_w},
                  255, torch::kUInt8);
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t top = static_cast<int64_t>(r) * cell_h + kGap;
    DrawText(canvas, kGlyphWidth, top + (cell_h - kGap) / 2 - kGlyphHeight, rows[r].label, 2, 0);
    const Tensor images = Magnified(rows[r].images, scale);
    for (int64_t i = 0; i < images.size(0); ++i) Paste(canvas, images[i], margin + i * cell_w, top);
  }
  return canvas;
}

Tensor PlainGrid(const Tensor& images, int64_t columns, int64_t scale) {
  const Tensor large = Magnified(images, scale);
  const int64_t count = large.size(0), height = large.size(2), width = large.size(3);
  const int64_t across = std::max<int64_t>(1, std::min(columns, count)), down = (count + across - 1) / across;
  Tensor canvas = torch::full({large.size(1), down * (height + kGap) - kGap, across * (width + kGap) - kGap},
                              255, torch::kUInt8);
  for (int64_t i = 0; i < count; ++i) {
    Paste(canvas, large[i], i % across * (width + kGap), i / across * (height + kGap));
  }
  return canvas;
}

}  // namespace gas
