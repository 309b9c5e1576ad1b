// The images of a pretraining run: which, at which resolution, changed how, and what is said of them.
#ifndef GAS_TRAIN_PRETRAIN_DATA_H_
#define GAS_TRAIN_PRETRAIN_DATA_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gas/io/image_set.h"
#include "gas/train/data_augment.h"

namespace gas {

struct PretrainData {
  std::filesystem::path folder;  // of PNG files (io/image_folder.h), or with the files of the MNIST family
  std::string name;              // with licence, for the model file; empty: the folder's name
  std::vector<std::string> class_names;   // empty: those of the data
  int64_t resolution = 0;                 // side to which larger images are reduced; 0: their own
  DataAugmentOptions augment;             // its `flip` is filled from flip_classes
  std::vector<std::string> flip_classes;  // names of classes that may be mirrored; {"all"} for every class
};

struct TrainingImages {
  ImageSet set;  // at up to twice the resolution where they are augmented
  int64_t resolution = 0, classes = 0;
  DataAugmentOptions augment;
  std::map<std::string, std::string> metadata;  // "data", and "class_names" (JSON array) if they are known
};

// Throws what the readers throw; Error(kBadOption) for a resolution that the images do not have, an unknown
// class to mirror, or another number of class names than classes.
TrainingImages ReadTrainingImages(const PretrainData& data);

// The test split; none where the data have none. Throws Error(kBadFile) if it has other classes.
std::optional<ImageSet> ReadHeldOutImages(const PretrainData& data, const TrainingImages& training);

// All images as they are, [N,C,side,side] float in [-1,1].
Tensor AtResolution(const ImageSet& set, int64_t side);

// One draw of the augmentation of each training image, [N,C,R,R] float in [-1,1].
Tensor Augmented(const TrainingImages& training, uint64_t seed);

}  // namespace gas

#endif  // GAS_TRAIN_PRETRAIN_DATA_H_
