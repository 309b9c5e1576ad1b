// Text on images, for labels of sample grids.
#ifndef GAS_REPORT_TEXT_H_
#define GAS_REPORT_TEXT_H_

#include <string_view>

#include "gas/core/torch.h"

namespace gas {

inline constexpr int64_t kGlyphWidth = 6, kGlyphHeight = 8;  // with spacing, at scale 1

// Draws `text` into image [C,H,W] uint8 with its upper left corner at (x, y), each font pixel scale x scale,
// clipped at the borders. Letters appear as capitals; characters without a glyph as a box.
void DrawText(Tensor& image, int64_t x, int64_t y, std::string_view text, int64_t scale, uint8_t value);

}  // namespace gas

#endif  // GAS_REPORT_TEXT_H_
