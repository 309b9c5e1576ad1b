// A whole pretraining run: from a folder of images to a model file.
#ifndef GAS_TRAIN_PRETRAIN_RUN_H_
#define GAS_TRAIN_PRETRAIN_RUN_H_

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/train/pretrain.h"
#include "gas/train/pretrain_data.h"

namespace gas {

struct PretrainOptions {
  PretrainData data;
  NetworkTrainOptions train;
  std::filesystem::path out;   // model file, written at each checkpoint of a denoiser and at the end
  std::filesystem::path init;  // a model file whose weights and sizes the denoiser begins with; empty: none
  DenoiserSizes sizes;         // of a denoiser without `init`; a classifier takes its width alone
  NoiseDistribution noise;
  torch::Dtype store = torch::kFloat32;         // of the weights in a denoiser's file
  std::map<std::string, std::string> metadata;  // added to the file's
  nlohmann::json record;                        // the options as the user gave them, for options.json
  // Gets what the user should know, a sentence each.
  std::function<void(const std::string& sentence)> message = {};
};

struct PretrainResult {
  std::filesystem::path out;
  int64_t images = 0, parameters = 0;
  // Of a classifier whose data have a test split.
  std::optional<double> test_accuracy;
  std::optional<double> test_frechet_distance;  // between test and training images in its features
};

using PretrainReportFunction = std::function<void(const NetworkTrainReport&)>;

// Both go on from the run folder's checkpoint, which must be of the same run: Error(kBadFile) names what
// differs, and leaves the folder as it is. Other errors are those of ReadTrainingImages, RunFolder and
// TrainNetwork, and Error(kBadFile) for an `init` of other sizes or classes than the data. `report` may be
// empty.
PretrainResult PretrainDenoiser(const PretrainOptions& options, const PretrainReportFunction& report);
PretrainResult PretrainClassifier(const PretrainOptions& options, const PretrainReportFunction& report);

}  // namespace gas

#endif  // GAS_TRAIN_PRETRAIN_RUN_H_
