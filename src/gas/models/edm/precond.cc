#include "gas/models/edm/precond.h"

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/io/json.h"
#include "gas/models/class_labels.h"

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

PrecondScales VpScales(const PrecondConfig& c, const Tensor& /*levels*/, const Tensor& sigma) {
  const double b = c.beta_min, d = c.beta_d;
  const Tensor t = ((b * b + 2 * d * torch::log1p(sigma.square())).sqrt() - b) / d;
  return {torch::ones_like(sigma), -sigma, (sigma.square() + 1).rsqrt(), (c.steps - 1) * t};
}

void SetVpBounds(PrecondConfig& c) {
  c.sigma_min = VpSigma(c, c.epsilon_t);
  c.sigma_max = VpSigma(c, 1.0);
}

PrecondScales VeScales(const PrecondConfig& /*config*/, const Tensor& /*levels*/, const Tensor& sigma) {
  return {torch::ones_like(sigma), sigma, torch::ones_like(sigma), (sigma / 2).log()};
}

void SetVeBounds(PrecondConfig& c) {
  c.sigma_min = 0.02;
  c.sigma_max = 100;
}

// u_M = 0, u_{j-1}^2 = (u_j^2 + 1) / max(abar_{j-1} / abar_j, C_1) - 1 with
// abar_j = sin^2(pi/2 j / (M (C_2 + 1))): Karras et al. 2022, table 1 and appendix C.3. In float32, as in
// training: the least level, where digits cancel, would be another by 5e-4 of it.
std::vector<double> IddpmLevels(const PrecondConfig& c) {
  const auto last = static_cast<int64_t>(c.steps);
  const auto signal = [&](int64_t j) {
    const auto angle = static_cast<float>(M_PI / 2 * static_cast<double>(j) / c.steps / (c.offset + 1));
    const float sine = std::sin(angle);
    return sine * sine;
  };
  const auto least_ratio = static_cast<float>(c.least_ratio);
  std::vector<float> levels(last + 1, 0.0F);
  for (int64_t j = last; j >= 1; --j) {
    const float ratio = std::max(signal(j - 1) / signal(j), least_ratio);
    levels[j - 1] = std::sqrt((levels[j] * levels[j] + 1) / ratio - 1);
  }
  return {levels.begin(), levels.end()};
}

// The network knows M levels by their numbers: it is told that of the nearest.
PrecondScales IddpmScales(const PrecondConfig& c, const Tensor& levels, const Tensor& sigma) {
  const Tensor known = ToLike(levels, sigma);
  const Tensor nearest = (sigma.detach().unsqueeze(-1) - known).abs().argmin(-1);
  return {torch::ones_like(sigma), -sigma, (sigma.square() + 1).rsqrt(),
          (c.steps - 1 - nearest).to(sigma.scalar_type())};
}

void SetIddpmBounds(PrecondConfig& c) {
  const std::vector<double> levels = IddpmLevels(c);
  c.sigma_min = levels[levels.size() - 2];
  c.sigma_max = levels.front();
}

PrecondScales EdmPrecondScales(const PrecondConfig& c, const Tensor& /*levels*/, const Tensor& sigma) {
  return EdmScales(sigma, c.sigma_data);
}

void SetEdmBounds(PrecondConfig& /*config*/) {}

// The published classes: columns of table 1.
struct Preconditioning {
  std::string_view class_name, model_type;  // the network that a file means which names none
  int64_t outputs_per_channel;
  void (*set_bounds)(PrecondConfig&);
  PrecondScales (*scales)(const PrecondConfig&, const Tensor& levels, const Tensor& sigma);
};

constexpr Preconditioning kPreconditionings[] = {
    {"VPPrecond", "SongUNet", 1, SetVpBounds, VpScales},
    {"VEPrecond", "SongUNet", 1, SetVeBounds, VeScales},
    {"iDDPMPrecond", "DhariwalUNet", 2, SetIddpmBounds, IddpmScales},
    {"EDMPrecond", "DhariwalUNet", 1, SetEdmBounds, EdmPrecondScales},
};

const Preconditioning& PreconditioningOf(const std::string& class_name) {
  std::string names;
  for (const Preconditioning& row : kPreconditionings) {
    if (class_name == row.class_name) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.class_name);
  }
  Fail(Errc::kBadFile, "network: class ", Quoted(class_name), ", must be one of ", names);
}

// A scale [B] or [] of images z.
Tensor PerImage(const Tensor& scale, const Tensor& z) { return ToLike(scale, z).reshape({-1, 1, 1, 1}); }

// Nothing for the classes that know every level.
Tensor LevelsOf(const PrecondConfig& config) {
  if (config.class_name != "iDDPMPrecond") return {};
  return torch::tensor(IddpmLevels(config), torch::kFloat64);
}

void CheckNumbers(const PrecondConfig& c) {
  GAS_CHECK(c.sigma_data > 0, Errc::kBadFile, "network: sigma_data = ", c.sigma_data, ", must be positive");
  CheckInClosed(Errc::kBadFile, "network: init_kwargs.M", c.steps, 1, 1e6);
  CheckInClosed(Errc::kBadFile, "network: init_kwargs.C_1", c.least_ratio, 1e-9, 1);
  CheckInClosed(Errc::kBadFile, "network: init_kwargs.C_2", c.offset, 0, 1);
}

}  // namespace

PrecondConfig PrecondConfigFromJson(const std::string& class_name, const Json& init_kwargs) {
  const Preconditioning& row = PreconditioningOf(class_name);
  PrecondConfig config;
  config.class_name = class_name;
  config.network = UNetConfigFromJson(init_kwargs, std::string(row.model_type));
  if (!init_kwargs.contains("out_channels"))
    config.network.out_channels = row.outputs_per_channel * config.network.in_channels;
  for (const auto& [key, field] :
       {std::pair{"sigma_data", &config.sigma_data}, std::pair{"beta_d", &config.beta_d},
        std::pair{"beta_min", &config.beta_min}, std::pair{"M", &config.steps},
        std::pair{"epsilon_t", &config.epsilon_t}, std::pair{"C_1", &config.least_ratio},
        std::pair{"C_2", &config.offset}}) {
    const std::string what = std::string("network: init_kwargs.") + key;
    if (init_kwargs.contains(key)) *field = RealNumber(what, init_kwargs[key]);
  }
  CheckNumbers(config);
  row.set_bounds(config);
  if (init_kwargs.contains("sigma_min"))
    config.sigma_min = Bound("network: init_kwargs.sigma_min", init_kwargs["sigma_min"]);
  if (init_kwargs.contains("sigma_max"))
    config.sigma_max = Bound("network: init_kwargs.sigma_max", init_kwargs["sigma_max"]);
  return config;
}

Json InitKwargs(const PrecondConfig& config) {
  Json json = ToJson(config.network);
  if (config.class_name == "VPPrecond") {
    json["beta_d"] = config.beta_d;
    json["beta_min"] = config.beta_min;
    json["M"] = config.steps;
    json["epsilon_t"] = config.epsilon_t;
    return json;
  }
  if (config.class_name == "iDDPMPrecond") {
    json["C_1"] = config.least_ratio;
    json["C_2"] = config.offset;
    json["M"] = config.steps;
    return json;
  }
  json["sigma_min"] = config.sigma_min;
  if (std::isfinite(config.sigma_max)) json["sigma_max"] = config.sigma_max;
  if (config.class_name == "EDMPrecond") json["sigma_data"] = config.sigma_data;
  return json;
}

Precond::Precond(const PrecondConfig& config) : config_(config), levels_(LevelsOf(config)) {
  GAS_CHECK(config.network.out_channels >= config.network.in_channels, Errc::kBadOption,
            "network: out_channels = ", config.network.out_channels, ", must be at least in_channels, ",
            config.network.in_channels);
  model_ = register_module("model", MakeUNet(config.network));
}

PrecondScales Precond::Scales(const Tensor& sigma) const {
  return PreconditioningOf(config_.class_name).scales(config_, levels_, sigma);
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
  const Tensor out = model_->forward(in.x, in.noise_label, in.class_labels).to(scaled_z.scalar_type());
  const int64_t channels = config_.network.in_channels;
  return out.size(1) == channels ? out : out.slice(1, 0, channels);
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
  CheckClassLabels("", labels, -1, label_dim);
  return OneHotRows(labels, label_dim, torch::kFloat32);
}

}  // namespace gas::edm
