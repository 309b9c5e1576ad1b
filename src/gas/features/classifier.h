// A small classifier whose features give the Fréchet distance and the perceptual distance of small grey
// images.
#ifndef GAS_FEATURES_CLASSIFIER_H_
#define GAS_FEATURES_CLASSIFIER_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/features/feature_network.h"
#include "gas/nn/layers.h"

namespace gas {

struct ClassifierConfig {
  int64_t channels = 1, resolution = 28, classes = 10, width = 24;
};

// Three resolutions of width, 2 width and 4 width channels, group norm and SiLU, mean over positions, linear
// head.
class Classifier : public torch::nn::Module {
 public:
  explicit Classifier(const ClassifierConfig& config);

  struct Output {
    std::vector<Tensor> maps;  // activations [B,C_l,H_l,W_l] at the three resolutions
    Tensor features;           // [B, 4 width], what the Fréchet distance compares
    Tensor logits;             // [B, classes]
  };
  // images [B,C,H,W] in [-1,1].
  Output forward(const Tensor& images);

  const ClassifierConfig& config() const { return config_; }
  int64_t feature_count() const { return 4 * config_.width; }

 private:
  struct Block {
    nn::Conv2dLayer conv;
    nn::GroupNormLayer norm;
  };
  Block AddBlock(const std::string& name, int64_t in, int64_t out);

  ClassifierConfig config_;
  std::vector<Block> blocks_;
  nn::Linear head_;
};

// A classifier as a feature network: its features are the mean of the last activation over positions, its
// embedding the activations at the three resolutions, of images clipped to [-1,1].
class ClassifierFeatures : public FeatureNetwork {
 public:
  // Freezes the network.
  ClassifierFeatures(std::shared_ptr<Classifier> network, const std::string& name, const std::string& sha256);
  void To(torch::Device device, torch::ScalarType dtype) override { network_->to(device, dtype); }
  ImageFeatures Look(const Tensor& images) const override;
  Tensor Embedding(const Tensor& images) const override;

 private:
  std::shared_ptr<Classifier> network_;
};

// What a file of features holds: a network, and what it was measured to be.
struct FeatureModel {
  std::shared_ptr<FeatureNetwork> network;
  Tensor data_mean, data_covariance;  // [F], [F,F] float64, of the training images in its features
  std::map<std::string, std::string> metadata;
};

// Throws Error(kBadFile).
FeatureModel ReadFeatureModel(const std::filesystem::path& path);
// One that looks at images of `shape` [C,H,W]. Throws Error(kBadFile) for a network of others too.
FeatureModel ReadFeatureModelFor(const std::filesystem::path& path, at::IntArrayRef shape);
// mean [F], covariance [F,F]: of the training images.
void WriteClassifier(const std::filesystem::path& path, const Classifier& network, const Tensor& mean,
                     const Tensor& covariance, std::map<std::string, std::string> metadata);

}  // namespace gas

#endif  // GAS_FEATURES_CLASSIFIER_H_
