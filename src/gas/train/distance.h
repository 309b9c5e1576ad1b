// Distances between student and teacher samples: what the training of a solver minimises.
#ifndef GAS_TRAIN_DISTANCE_H_
#define GAS_TRAIN_DISTANCE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"
#include "gas/features/feature_network.h"
#include "gas/features/lpips.h"
#include "gas/models/encoder_features.h"
#include "gas/models/image_codec.h"

namespace gas {

// One term of a weighted sum, in one of two forms.
struct DistanceTerm {
  double weight = 1;
  // student, teacher [B,C,H,W] -> scalar [], the mean over the batch; differentiable in the student.
  std::function<Tensor(const Tensor& student, const Tensor& teacher)> between;
  // images [B,C,H,W] -> [B,D], each row a function of its image; the term is the mean over the batch of the
  // squared length of the difference. The teacher's rows can be computed once and kept.
  std::function<Tensor(const Tensor& images)> embedding;
};

inline constexpr uint64_t kDistanceCacheBytes = uint64_t{2} << 30;

// A weighted sum of terms. Copies share what they keep of the teacher.
class Distance {
 public:
  // cache_bytes bounds what is kept of the teacher's embeddings, on the device where they are computed.
  explicit Distance(std::vector<DistanceTerm> terms, uint64_t cache_bytes = kDistanceCacheBytes,
                    nlohmann::json source = nullptr);

  // student, teacher [B,C,H,W] -> scalar [], the mean over the batch; differentiable in the student.
  // `indices`, one per row, are the places of the teacher's images in the training set: embeddings are then
  // kept and used again, as long as the image is the same. Without indices nothing is kept. The result has
  // the same bits either way: the teacher's images are embedded one by one, so that a row does not depend on
  // its batch.
  Tensor operator()(const Tensor& student, const Tensor& teacher,
                    const std::vector<int64_t>& indices = {}) const;

  // The files that terms were read from, for the solver file: {"lpips-vgg": {...}}; null if there are none.
  const nlohmann::json& source() const { return source_; }
  // What is kept at present.
  uint64_t cached_bytes() const;

 private:
  class Cache;
  Tensor Targets(size_t term, const Tensor& teacher, const std::vector<int64_t>& indices) const;

  std::vector<DistanceTerm> terms_;
  std::shared_ptr<Cache> cache_;
  nlohmann::json source_;
};

inline constexpr double kHuberDelta = 0.03;

// What some terms need. Those that are not named in the text may stay empty, and are not opened.
struct DistanceResources {
  std::function<std::shared_ptr<FeatureNetwork>()> features;  // opens the network of `features`
  std::shared_ptr<const EncoderFeatures> encoder;  // of `self`: the model's own, null for models without one
  std::shared_ptr<const ImageCodec> codec;  // of models whose states are not images; null where they are
  LpipsFiles lpips;
  torch::Device device = torch::kCPU;
  uint64_t cache_bytes = kDistanceCacheBytes;
};

// Names that MakeDistance knows.
std::vector<std::string> DistanceNames();

// text: a name, or a weighted sum such as "l1+0.5*lpips-vgg" (train/loss_text.h).
//   l2        mean squared difference
//   l1        mean absolute difference
//   huber     pseudo-Huber, sqrt(d^2 + delta^2) - delta with delta = kHuberDelta
//   features  squared distance of a feature network's embeddings (features/feature_network.h)
//   self      the same of the denoiser's own encoder (models/self_embedding.h)
//   ms-ssim   1 - MS-SSIM (metrics/ms_ssim.h)
//   lpips-vgg, lpips-alex, lpips-squeeze   LPIPS of images resized to 224 and clipped (features/lpips.h)
// With a codec features, ms-ssim and LPIPS look at decoded images, and the others at states.
// Throws Error(kBadOption) for a text that ParseLoss refuses and for a term without what it needs, and what
// ReadLpips throws.
Distance MakeDistance(const std::string& text, const DistanceResources& resources = {});

}  // namespace gas

#endif  // GAS_TRAIN_DISTANCE_H_
