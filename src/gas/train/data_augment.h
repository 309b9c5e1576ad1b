// Random changes of training images that keep what they show: more images from few.
#ifndef GAS_TRAIN_DATA_AUGMENT_H_
#define GAS_TRAIN_DATA_AUGMENT_H_

#include <vector>

#include "gas/core/torch.h"

namespace gas {

// Each part is off at 0. Every number is drawn uniformly between minus and plus its bound.
struct DataAugmentOptions {
  double shift = 0;   // along each axis, over the image's side, in [0, 0.5]
  double scale = 0;   // of the size, relative: 0.1 gives 0.9 to 1.1; in [0, 0.9]
  double rotate = 0;  // degrees, in [0, 180]
  double hue = 0;     // turn of the colours around the grey axis, degrees, in [0, 180]; grey stays grey
  // Classes whose images are mirrored left to right, half of them.
  std::vector<int64_t> flip;

  bool any() const { return shift > 0 || scale > 0 || rotate > 0 || hue > 0 || !flip.empty(); }
};

// Throws Error(kBadOption) for strengths outside their ranges.
void Validate(const DataAugmentOptions& options);

// images [B,C,S,S] float in [-1,1], labels [B] int64 -> [B,C,side,side], each changed by amounts of its own:
// a function of seed, row and options alone. Positions are interpolated at S and then each pixel is the mean
// of what it covers, so that S = 2 side or more leaves neither jagged nor blurred edges. What moves in from
// outside repeats the edge. C must be 3 for hue.
Tensor AugmentData(const Tensor& images, const Tensor& labels, const DataAugmentOptions& options,
                   int64_t side, uint64_t seed);

}  // namespace gas

#endif  // GAS_TRAIN_DATA_AUGMENT_H_
