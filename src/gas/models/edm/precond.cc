#include "gas/models/edm/precond.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas::edm {
namespace {

using Json = nlohmann::json;

// The reference writes infinite bounds as the string "inf" in JSON, which has no infinity of its own.
double Bound(const char* what, const Json& value) {
  if (value.is_string() && value == "inf") return std::numeric_limits<double>::infinity();
  return RealNumber(what, value);
}

double VpSigma(const PrecondConfig& c, double t) {
  return std::sqrt(std::expm1(0.5 * c.beta_d * t * t + c.beta_min * t));
}

// A scale [B] or [] of images z.
Tensor PerImage(const Tensor& scale, const Tensor& z) { return ToLike(scale, z).reshape({-1, 1, 1, 1}); }

}  // namespace

PrecondConfig PrecondConfigFromJson(const std::string& class_name, const Json& init_kwargs) {
  GAS_CHECK(class_name == "EDMPrecond" || class_name == "VPPrecond", Errc::kBadFile, "network: class ",
            class_name, ", must be EDMPrecond or VPPrecond");
  PrecondConfig config;
  config.class_name = class_name;
  config.network = UNetConfigFromJson(init_kwargs);
  try {
    for (const auto& [key, field] :
         {std::pair{"sigma_data", &config.sigma_data}, std::pair{"beta_d", &config.beta_d},
          std::pair{"beta_min", &config.beta_min}, std::pair{"M", &config.steps},
          std::pair{"epsilon_t", &config.epsilon_t}}) {
      const std::string what = std::string("network: init_kwargs.") + key;
      if (init_kwargs.contains(key)) *field = RealNumber(what, init_kwargs[key]);
    }
    if (class_name == "VPPrecond") {
      config.sigma_min = VpSigma(config, config.epsilon_t);
      config.sigma_max = VpSigma(config, 1.0);
    }
    if (init_kwargs.contains("sigma_min"))
      config.sigma_min = Bound("network: init_kwargs.sigma_min", init_kwargs["sigma_min"]);
    if (init_kwargs.contains("sigma_max"))
      config.sigma_max = Bound("network: init_kwargs.sigma_max", init_kwargs["sigma_max"]);
  } catch (const Json::exception& e) {
    Fail(Errc::kBadFile, "network: init_kwargs: ", e.what());
  }
  GAS_CHECK(config.sigma_data > 0, Errc::kBadFile, "network: sigma_data = ", config.sigma_data,
            ", must be positive");
  return config;
}

Json InitKwargs(const PrecondConfig& config) {
  Json json = ToJson(config.network);
  if (config.class_name == "EDMPrecond") {
    json["sigma_data"] = config.sigma_data;
    json["sigma_min"] = config.sigma_min;
    if (std::isfinite(config.sigma_max)) json["sigma_max"] = config.sigma_max;
  } else {
    json["beta_d"] = config.beta_d;
    json["beta_min"] = config.beta_min;
    json["M"] = config.steps;
    json["epsilon_t"] = config.epsilon_t;
  }
  return json;
}

Precond::Precond(const PrecondConfig& config) : config_(config) {
  model_ = register_module("model", MakeUNet(config.network));
}

PrecondScales Precond::Scales(const Tensor& sigma) const {
  if (config_.class_name == "VPPrecond") {
    const double b = config_.beta_min, d = config_.beta_d;
    const Tensor t = ((b * b + 2 * d * torch::log1p(sigma.square())).sqrt() - b) / d;
    return {torch::ones_like(sigma), -sigma, (sigma.square() + 1).rsqrt(), (config_.steps - 1) * t};
  }
  const double data = config_.sigma_data;
  const Tensor total = sigma.square() + data * data;
  return {data * data / total, sigma * data * total.rsqrt(), total.rsqrt(), sigma.log() / 4};
}

Precond::Input Precond::InputOf(const Tensor& scaled_z, const Tensor& noise_label,
                                const Tensor& class_labels) const {
  const UNetConfig& c = config_.network;
  GAS_CHECK(scaled_z.dim() == 4 && scaled_z.size(1) == c.in_channels &&
                scaled_z.size(2) == c.img_resolution && scaled_z.size(3) == c.img_resolution,
            Errc::kBadOption, "network input of shape ", scaled_z.sizes(), ", must be [B, ", c.in_channels,
            ", ", c.img_resolution, ", ", c.img_resolution, "]");
  const int64_t batch = scaled_z.size(0);
  Tensor labels;
  if (c.label_dim > 0) {
    labels = class_labels.defined() ? class_labels.to(scaled_z.device(), scaled_z.scalar_type())
                                    : torch::zeros({batch, c.label_dim}, scaled_z.options());
  }
  return {scaled_z, ToLike(noise_label, scaled_z).expand({batch}), labels};
}

Tensor Precond::Raw(const Tensor& scaled_z, const Tensor& noise_label, const Tensor& class_labels) {
  const Input in = InputOf(scaled_z, noise_label, class_labels);
  return model_->forward(in.x, in.noise_label, in.class_labels).to(scaled_z.scalar_type());
}

Tensor Precond::Denoise(const Tensor& z, const Tensor& sigma, const Tensor& class_labels) {
  const PrecondScales c = Scales(sigma);
  const Tensor raw = Raw(PerImage(c.in, z) * z, c.noise, class_labels);
  return PerImage(c.skip, z) * z + PerImage(c.out, z) * raw;
}

std::vector<Tensor> Precond::EncoderFeatures(const Tensor& z, const Tensor& sigma,
                                             const Tensor& class_labels) {
  const PrecondScales c = Scales(sigma);
  const Input in = InputOf(PerImage(c.in, z) * z, c.noise, class_labels);
  return model_->EncoderFeatures(in.x, in.noise_label, in.class_labels);
}

Tensor OneHotLabels(const Tensor& labels, int64_t label_dim) {
  if (!labels.defined() || label_dim == 0) return {};
  // Labels on another device come from a conditioner, which has looked at them; to look again the host would
  // have to wait.
  if (labels.is_cpu() && labels.numel() > 0) {
    const int64_t low = labels.min().item<int64_t>(), high = labels.max().item<int64_t>();
    GAS_CHECK(low >= -1 && high < label_dim, Errc::kBadOption, "class label ", low < -1 ? low : high,
              ", must be in [-1, ", label_dim - 1, "] (-1: none)");
  }
  const Tensor classes = torch::arange(label_dim, labels.options());
  return (labels.unsqueeze(1) == classes.unsqueeze(0)).to(torch::kFloat32);
}

}  // namespace gas::edm
