// An EDM network in training.
#ifndef GAS_MODELS_EDM_EDM_TRAINABLE_H_
#define GAS_MODELS_EDM_EDM_TRAINABLE_H_

#include <memory>

#include "gas/models/edm/precond.h"
#include "gas/models/trainable_denoiser.h"

namespace gas::edm {

class TrainableEdm : public TrainableDenoiser {
 public:
  // Fresh weights, channels last.
  explicit TrainableEdm(const PrecondConfig& config);

  const DenoiserShape& shape() const override { return shape_; }
  double label_dropout() const override { return config_.network.label_dropout; }
  torch::nn::Module& module() override { return *network_; }
  Precond& network() { return *network_; }
  Tensor Denoise(const Tensor& noisy, const Tensor& sigma, const Tensor& labels) override;
  void Write(const std::filesystem::path& path, const std::map<std::string, Tensor>& weights,
             const std::map<std::string, std::string>& metadata) const override;

 private:
  PrecondConfig config_;  // as in the file; the network itself drops no labels
  DenoiserShape shape_;
  std::shared_ptr<Precond> network_;
};

std::unique_ptr<TrainableDenoiser> NewTrainableEdm(const DenoiserShape& shape, const DenoiserSizes& sizes);
std::unique_ptr<TrainableDenoiser> TrainableEdmFrom(const ModelFiles& files);

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_EDM_TRAINABLE_H_
