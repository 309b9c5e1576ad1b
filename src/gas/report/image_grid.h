// Many images in one picture.
#ifndef GAS_REPORT_IMAGE_GRID_H_
#define GAS_REPORT_IMAGE_GRID_H_

#include <string>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

struct LabelledRow {
  std::string label;
  Tensor images;  // [N,C,H,W] float in [-1,1]
};

// Rows of images with a label at their left, each image magnified `scale` times: [C,H',W'] uint8 on white.
// All rows have images of one shape.
Tensor LabelledGrid(const std::vector<LabelledRow>& rows, int64_t scale = 2);

// Images [N,C,H,W] in [-1,1], `columns` to a row: [C,H',W'] uint8.
Tensor PlainGrid(const Tensor& images, int64_t columns, int64_t scale = 1);

}  // namespace gas

#endif  // GAS_REPORT_IMAGE_GRID_H_
