#include "gas/models/compvis/process.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas::compvis {

Tensor PublishedTable(const Config& config) {
  return ScaledLinearAlphasCumprod(config.linear_start, config.linear_end, config.timesteps)
      .to(torch::kFloat32)
      .to(torch::kFloat64);
}

SchedulePtr ScheduleOf(CheckpointWeights& weights, const Config& config, const std::string& file) {
  std::optional<Tensor> table = weights.Table("alphas_cumprod");
  if (!table) {
    if (const auto betas = weights.Table("betas")) table = torch::cumprod(1 - *betas, 0);
  }
  try {
    if (!table) {
      GAS_CHECK(config.beta_schedule == "linear", Errc::kBadFile,
                "no table alphas_cumprod, which beta_schedule = ", Quoted(config.beta_schedule), " needs");
      table = PublishedTable(config);
    }
    GAS_CHECK(table->dim() == 1 && table->numel() == config.timesteps, Errc::kBadFile,
              "its schedule has shape ", table->sizes(), ", must be [", config.timesteps, "]");
    return DiscreteSchedule(*table);
  } catch (const Error& e) {
    Fail(Errc::kBadFile, file, ": ", e.what());
  }
}

double ScaleOf(CheckpointWeights& weights, const Config& config, const std::string& file) {
  const std::optional<Tensor> kept = weights.Table("scale_factor");
  if (!kept) return config.scale_factor;
  GAS_CHECK(kept->numel() == 1, Errc::kBadFile, file, ": scale_factor has shape ", kept->sizes(),
            ", must be one number");
  const double scale = kept->item<double>();
  GAS_CHECK(std::isfinite(scale) && scale > 0, Errc::kBadFile, file, ": scale_factor = ", scale,
            ", must be above 0");
  return scale;
}

}  // namespace gas::compvis
