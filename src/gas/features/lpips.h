// LPIPS v0.1 (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"):
// activations of a classifier's trunk, normalised over channels, compared with learned weights.
// docs/lpips.md: the files it needs.
#ifndef GAS_FEATURES_LPIPS_H_
#define GAS_FEATURES_LPIPS_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/features/image_trunk.h"

namespace gas {

// "vgg", "alex", "squeeze", as the lpips package calls them.
std::string LpipsName(TrunkKind kind);

struct LpipsOptions {
  // Side to which images are resized (bilinear, pixel centres aligned, no antialiasing) and then clipped to
  // [-1,1], as GAS trains and as small images need; 0: images are taken as they are.
  int64_t resize = 224;
};

// images [B,C,H,W] -> [B,C,side,side] in [-1,1], differentiable: the resizing of LpipsOptions, and then the
// clipping.
Tensor ResizeForLpips(const Tensor& images, int64_t side);

// Weights are frozen. Images are [B,C,H,W] in [-1,1] with C = 3, or C = 1 for grey ones, whose channel is
// repeated; they are converted to the dtype of the weights. Throws Error(kBadOption) for other shapes.
class Lpips : public torch::nn::Module {
 public:
  explicit Lpips(TrunkKind kind, const LpipsOptions& options = {});

  // heads[l] [C_l], the weights of the channels of tap l. Throws Error(kBadFile), naming `file`, for another
  // number or shape, and for weights that are negative or not finite.
  void SetHeads(const std::vector<Tensor>& heads, const std::string& file);

  // -> [B], differentiable in both.
  Tensor forward(const Tensor& a, const Tensor& b) { return LayerDistances(a, b).sum(1); }
  // -> [B,L]: the mean over positions of sum_c head_c (u_c(a) - u_c(b))^2, u = f / (|f| + 1e-10), of each
  // tap.
  Tensor LayerDistances(const Tensor& a, const Tensor& b);
  // -> [B,D] with |Embedding(a) - Embedding(b)|^2 = LPIPS(a, b), so that one side can be computed once and
  // kept.
  Tensor Embedding(const Tensor& images);
  // The tapped activations before normalisation.
  std::vector<Tensor> Maps(const Tensor& images);

  ImageTrunk& trunk() { return *trunk_; }

 private:
  // Tap l of the images, normalised.
  std::vector<Tensor> UnitMaps(const Tensor& images);
  Tensor Prepare(const Tensor& images) const;

  LpipsOptions options_;
  std::shared_ptr<ImageTrunk> trunk_;
  std::vector<Tensor> heads_;  // [1,C_l,1,1]
};

// What the user names. `heads` empty: they are in the trunk's file.
struct LpipsFiles {
  std::filesystem::path trunk, heads;
};

// An LPIPS with where its numbers came from.
struct LpipsModel {
  std::shared_ptr<Lpips> network;
  nlohmann::json source;  // trunk, trunk_sha256, heads_sha256, heads ("published v0.1" or "other")
};

// For messages: what lpips-NET needs, where people get it and how it is converted.
std::string LpipsFilesNeeded(TrunkKind kind);

// Safetensors files: torchvision's state dict (features.N.weight; its classifier is passed over), and the
// heads as linL.model.1.weight or NET.linL.model.1.weight [1,C_l,1,1]. Throws Error(kBadOption) when no trunk
// is named, Error(kBadFile) for a file that is missing or of another kind; both say where people get it.
LpipsModel ReadLpips(TrunkKind kind, const LpipsFiles& files, const LpipsOptions& options = {});

// The mean of LPIPS over pairs of images, `batch` at once, without gradients.
double MeanLpips(Lpips& network, const Tensor& images, const Tensor& teacher, int64_t batch = 16);

}  // namespace gas

#endif  // GAS_FEATURES_LPIPS_H_
