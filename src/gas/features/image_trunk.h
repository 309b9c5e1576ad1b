// The convolutional trunks under LPIPS (VGG16, AlexNet, SqueezeNet 1.1), with parameters named as in
// torchvision's state dicts.
#ifndef GAS_FEATURES_IMAGE_TRUNK_H_
#define GAS_FEATURES_IMAGE_TRUNK_H_

#include <memory>
#include <string>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

enum class TrunkKind { kVgg16, kAlexNet, kSqueezeNet };

// The part of a classifier that torchvision calls `features`; its last layers are not built.
class ImageTrunk : public torch::nn::Module {
 public:
  explicit ImageTrunk(TrunkKind kind);
  ~ImageTrunk() override;

  // images [B,3,H,W], already normalised -> the activations that LPIPS taps, [B,C_l,H_l,W_l], each after its
  // rectifier and so non-negative. Throws Error(kBadOption) for images smaller than a pooling window on the
  // way.
  std::vector<Tensor> forward(const Tensor& images);

  TrunkKind kind() const { return kind_; }
  const std::vector<int64_t>& tap_channels() const { return tap_channels_; }  // C_l

 private:
  struct Stage;
  TrunkKind kind_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<int64_t> tap_channels_;
};

}  // namespace gas

#endif  // GAS_FEATURES_IMAGE_TRUNK_H_
