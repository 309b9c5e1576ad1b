#include "gas/models/edm/edm_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_denoiser.h"
#include "gas/models/edm/edm_pickle.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/ops.h"
#include "gas/nn/weights.h"

namespace gas::edm {
namespace {

using Json = nlohmann::json;

constexpr const char* kModelKey = "gas_model";
constexpr const char* kFormat = "edm-1";

std::vector<std::string> ClassNames(const ModelFiles& files) {
  const std::string text = files.Metadata("class_names");
  if (text.empty()) return {};
  const Json json = ParseJson(files.name() + ": metadata entry class_names", text);
  GAS_CHECK(json.is_array(), Errc::kBadFile, files.name(),
            ": metadata entry class_names is not a JSON array");
  std::vector<std::string> names;
  for (const Json& item : json) names.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return names;
}

PrecondConfig ConfigOfMetadata(const ModelFiles& files) {
  const std::string kwargs = files.Metadata("init_kwargs"), class_name = files.Metadata("class_name");
  const Json json = ParseJson(files.name() + ": metadata entry init_kwargs", kwargs);
  GAS_CHECK(json.is_object(), Errc::kBadFile, files.name(),
            ": metadata entry init_kwargs is not a JSON object");
  return PrecondConfigFromJson(class_name, json);
}

// Throws Error(kBadFile) if a resampling filter that was read is not that of the configuration.
void CheckResampleFilters(const Precond& network, const std::string& file) {
  const std::vector<double>& taps = network.config().network.resample_filter;
  const Tensor expected = nn::ResampleFilter(taps);
  for (const auto& buffer : network.named_buffers()) {
    if (!buffer.key().ends_with(".resample_filter")) continue;
    // Files may have rounded them to half precision.
    GAS_CHECK(buffer.value().cpu().to(torch::kFloat32).allclose(expected, /*rtol=*/1e-3), Errc::kBadFile,
              file, ": tensor ", buffer.key(), " is not the filter of init_kwargs.resample_filter, ",
              at::ArrayRef<double>(taps));
  }
}

// The network with the weights of the file, frozen, channels last.
std::shared_ptr<Precond> NetworkOf(const ModelFiles& files, const PrecondConfig& config,
                                   torch::Device device) {
  const auto network = SkeletonOf<Precond>(files.name(), config);
  LoadEdmWeights(*network, files, device);
  network->eval();
  return network;
}

}  // namespace

bool IsEdmFile(const ModelFiles& files) { return files.Metadata(kModelKey) == kFormat || IsEdmPickle(files); }

PrecondConfig ConfigOf(const ModelFiles& files) {
  return IsEdmPickle(files) ? ConfigOfPickle(files) : ConfigOfMetadata(files);
}

void LoadEdmWeights(Precond& network, const ModelFiles& files, torch::Device device) {
  nn::WeightOptions options{.device = device};
  if (IsEdmPickle(files)) {
    // iDDPM's noise levels follow from the arguments.
    options.rename = [](const std::string& in_file) { return in_file == "u" ? "" : in_file; };
    nn::LoadWeights(network, *TensorsOfPickle(files), options);
  } else {
    nn::LoadWeights(network, *files.tensors(), options);
  }
  CheckResampleFilters(network, files.name());
}

Model OpenEdm(const ModelFiles& files, const ModelOptions& options) {
  const PrecondConfig config = ConfigOf(files);
  const std::shared_ptr<Precond> network = NetworkOf(files, config, options.device);
  const UNetConfig& c = config.network;
  Model model;
  model.sha256 = files.Sha256();
  model.schedule = EdmAsVpSchedule(options.t_eps.value_or(kDefaultTEps), config.sigma_min, config.sigma_max);
  model.shape = {c.in_channels, c.img_resolution, c.img_resolution};
  model.classes = c.label_dim;
  model.class_names = ClassNames(files);
  model.features = files.Metadata("features");
  model.parameters = nn::ParameterCount(*network);
  if (IsEdmPickle(files)) {
    model.unused = UnusedInPickle(files);
  } else {
    model.metadata = files.tensors()->metadata();
  }
  model.denoiser = std::make_shared<EdmDenoiser>(network, options.dtype);
  model.conditioner = std::make_shared<ClassConditioner>(c.label_dim);
  model.encoder = std::make_shared<EdmEncoder>(network);
  return model;
}

void WriteEdmModel(const std::filesystem::path& path, const PrecondConfig& config,
                   const std::map<std::string, Tensor>& weights,
                   std::map<std::string, std::string> metadata) {
  metadata[kModelKey] = kFormat;
  metadata["class_name"] = config.class_name;
  metadata["init_kwargs"] = InitKwargs(config).dump();
  std::map<std::string, Tensor> plain;
  for (const auto& [name, tensor] : weights) plain[name] = tensor.detach().cpu().contiguous();
  WriteSafetensors(path, plain, metadata);
}

}  // namespace gas::edm
