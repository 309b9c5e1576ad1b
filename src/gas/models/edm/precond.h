// EDM's preconditioned networks (Karras et al. 2022, table 1) and their files.
#ifndef GAS_MODELS_EDM_PRECOND_H_
#define GAS_MODELS_EDM_PRECOND_H_

#include <filesystem>
#include <limits>
#include <string>

#include "gas/core/torch.h"
#include "gas/models/edm/unet.h"
#include "gas/models/preconditioned.h"

namespace gas::edm {

struct PrecondConfig {
  std::string class_name = "EDMPrecond";  // or VPPrecond, VEPrecond, iDDPMPrecond
  double sigma_min = 0.0;
  double sigma_max = std::numeric_limits<double>::infinity();
  double sigma_data = 0.5;                     // EDMPrecond
  double beta_d = 19.9, beta_min = 0.1;        // VPPrecond
  double steps = 1000;                         // VPPrecond and iDDPMPrecond: M
  double epsilon_t = 1e-5;                     // VPPrecond
  double least_ratio = 0.001, offset = 0.008;  // iDDPMPrecond: C_1, C_2
  UNetConfig network;                          // its out_channels may be more than its in_channels
};

// class_name and init_kwargs as in a published pickle. Throws Error(kBadFile).
PrecondConfig PrecondConfigFromJson(const std::string& class_name, const nlohmann::json& init_kwargs);
nlohmann::json InitKwargs(const PrecondConfig& config);

// D(z; sigma) = c_skip z + c_out F(c_in z; c_noise). Of the network's channels, those beyond the state's (the
// variances that iDDPM learns) are not used. Parameter names: "model." + those of the network.
class Precond : public torch::nn::Module {
 public:
  explicit Precond(const PrecondConfig& config);

  const PrecondConfig& config() const { return config_; }
  PrecondScales Scales(const Tensor& sigma) const;

  // z [B,C,R,R]; sigma [B] or []; class_labels [B,label_dim] one-hot or undefined (none). Returns D, shape
  // and dtype of z.
  Tensor Denoise(const Tensor& z, const Tensor& sigma, const Tensor& class_labels);
  // The raw network: input c_in * z, noise label c_noise [B] in z's dtype.
  Tensor Raw(const Tensor& scaled_z, const Tensor& noise_label, const Tensor& class_labels);
  // The encoder's activations for z at noise level sigma, from full resolution down; arguments as Denoise's.
  std::vector<Tensor> EncoderFeatures(const Tensor& z, const Tensor& sigma, const Tensor& class_labels);

 private:
  // What the network is given.
  struct Input {
    Tensor x, noise_label, class_labels;
  };
  Input InputOf(const Tensor& scaled_z, const Tensor& noise_label, const Tensor& class_labels) const;

  PrecondConfig config_;
  Tensor levels_;  // iDDPMPrecond: the noise levels u_0 > ... > u_M = 0 that it was trained for, float64
  std::shared_ptr<UNet> model_;
};

// [B] int64, -1 for none -> one-hot rows [B,label_dim] float32; undefined labels give undefined.
// Throws Error(kBadOption) for a class outside [-1, label_dim).
Tensor OneHotLabels(const Tensor& labels, int64_t label_dim);

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_PRECOND_H_
