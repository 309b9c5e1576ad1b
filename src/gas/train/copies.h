// Whether a model repeats its training images.
#ifndef GAS_TRAIN_COPIES_H_
#define GAS_TRAIN_COPIES_H_

#include "gas/metrics/copies.h"
#include "gas/train/pretrain_data.h"

namespace gas {

struct CopiesOptions {
  PretrainData data;               // as the model was trained on; it must have images held out
  std::filesystem::path samples;   // a folder of PNG files
  std::filesystem::path features;  // a feature network's file; empty: pixels alone
  int64_t draws = 8;               // of each training image's augmentation, if there is any
  int64_t pairs = 16;              // of samples and training images to show
};

struct CopiesReport {
  int64_t samples = 0, training = 0, held_out = 0;  // images; each training image counts once
  CopyCount pixels;                                 // distances are root mean squares over pixels in [-1,1]
  std::optional<CopyCount> features;
  // The samples that are nearest to a training image in pixels, nearest first, and that image as it was
  // drawn; [pairs,C,R,R] in [-1,1].
  Tensor closest_samples, closest_training;
};

// Throws what the readers throw; Error(kBadOption) for samples of another size than the data's resolution,
// Error(kUnavailable) for data without images held out.
CopiesReport CountCopiesIn(const CopiesOptions& options);

}  // namespace gas

#endif  // GAS_TRAIN_COPIES_H_
