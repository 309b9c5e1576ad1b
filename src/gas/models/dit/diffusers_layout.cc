// A DiT that diffusers converted: another function of time than the original's, of the same weights.
#include "gas/core/error.h"
#include "gas/io/json_mapping.h"
#include "gas/models/diffusers/folder.h"
#include "gas/models/dit/diffusers_tensors.h"
#include "gas/models/dit/layout.h"

namespace gas::dit {
namespace {

using nlohmann::json;

// The network and the betas that are made here, in one variant alone.
void CheckTransformer(const std::string& what, const json& config) {
  const std::pair<const char*, json> made[] = {{"_class_name", "DiTTransformer2DModel"},
                                               {"activation_fn", "gelu-approximate"},
                                               {"attention_bias", true},
                                               {"norm_elementwise_affine", false},
                                               {"norm_type", "ada_norm_zero"}};
  CheckFixed(what, config, made);
}

void CheckScheduler(const std::string& what, const json& config) {
  const std::pair<const char*, json> made[] = {
      {"num_train_timesteps", 1000},    {"beta_start", 0.0001},     {"beta_end", 0.02},
      {"beta_schedule", "linear"},      {"trained_betas", nullptr}, {"prediction_type", "epsilon"},
      {"rescale_betas_zero_snr", false}};
  CheckFixed(what, config, made);
}

}  // namespace

bool IsDiffusersFolder(const ModelFiles& files) {
  return diffusers::PipelineOf(files) == "DiTPipeline" && files.HasJsonEntry("transformer");
}

Layout OpenDiffusersFolder(const ModelFiles& files) {
  const std::filesystem::path folder = files.path().parent_path();
  const std::filesystem::path described = folder / "transformer" / "config.json",
                              scheduler = folder / "scheduler" / "scheduler_config.json";
  const std::string what = described.string();
  const json config = diffusers::ReadConfiguration(described);
  const json betas = diffusers::ReadConfiguration(scheduler);
  GAS_CHECK(config.is_object() && betas.is_object(), Errc::kBadFile,
            config.is_object() ? scheduler.string() : what, " is no object");
  CheckTransformer(what, config);
  CheckScheduler(scheduler.string(), betas);
  int64_t size = 0, classes = 0;
  ReadNeeded(what, config, "sample_size", size);
  ReadNeeded(what, config, "num_embeds_ada_norm", classes);
  GAS_CHECK(size > 0, Errc::kBadFile, what, ".sample_size = ", size, ", must be positive");

  Layout layout;
  const auto weights = diffusers::WeightsIn(folder / "transformer");
  layout.weights = std::make_shared<DiffusersTensors>(weights->tensors(), size);
  layout.config.network = NetworkOfWeights(*layout.weights);
  NetworkConfig& network = layout.config.network;
  ReadNeeded(what, config, "num_attention_heads", network.heads);
  ReadOptional(what, config, "norm_eps", network.second_norm_eps);
  network.endpoint_frequencies = true;
  Validate(what, network);
  SetClasses(what, classes, layout.config);
  if (std::filesystem::exists(folder / "vae" / "config.json")) layout.config.vae = folder / "vae";
  layout.described_by = files.path().string();
  layout.sha256 = Sha256With(weights->Sha256(), config.dump() + betas.dump());
  return layout;
}

}  // namespace gas::dit
