#include "gas/models/model.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/shown.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/models/embedded.h"
#include "gas/models/families.h"
#include "gas/models/guidance.h"
#include "gas/models/model_scales.h"
#include "gas/nn/product_dtype.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

void ApplyGuidance(Model& model, const ModelOptions& options) {
  const double guidance = options.guidance;
  const auto& range = options.guidance_range;
  if (guidance == 1.0 && !range) return;
  const std::optional<Condition> none = model.conditioner->None();
  GAS_CHECK(none, Errc::kBadOption, "guidance = ", GuidanceText(guidance, range), ", must be 1 for ",
            model.name, ", which has no unconditional side");
  model.denoiser = std::make_shared<GuidedDenoiser>(model.denoiser, *none, guidance, model.guided_channels);
  if (range) model.conditioner = std::make_shared<GuidanceConditioner>(model.conditioner, *range);
}

// Options that the family does not read must not be given.
void CheckOptions(const std::string& name, const ModelFamily& family, const ModelOptions& options) {
  GAS_CHECK(options.config.empty() || family.reads.config, Errc::kBadOption,
            "model.config = ", options.config, ", must not be given for ", name, ", whose family ",
            family.name, " has no file beside the weights");
  const TextOptions& texts = options.texts;
  const std::string whose = name + ", whose family " + std::string(family.name);
  if (!family.reads.texts) CheckNoTexts(whose, texts);
  const WorkerOptions& workers = options.workers;
  const std::pair<const char*, bool> of_workers[] = {{"model.workers", workers.count.has_value()},
                                                     {"model.worker_timeout", workers.timeout_s.has_value()}};
  for (const auto& [key, is_given] : of_workers) {
    GAS_CHECK(!is_given || family.reads.workers, Errc::kBadOption, key, " must not be given for ", whose,
              " runs in this program");
  }
  const bool has_negative = texts.negative || texts.prompts.has_negatives();
  GAS_CHECK(!has_negative || options.guidance != 1.0 || options.guidance_range, Errc::kBadOption,
            "model.negative = ", Quoted(texts.negative.value_or("")),
            " needs a guidance other than 1, which uses no negative prompt");
}

// As its family opens it, with what all models have.
struct Unguided {
  const ModelFamily* family;
  Model model;
};

Unguided OpenUnguided(const std::string& name, const ModelOptions& options) {
  const EmbeddedModel* embedded = FindEmbeddedModel(name);
  const bool named = embedded != nullptr || LooksLikeFile(name) || name.starts_with(kProcessPrefix);
  GAS_CHECK(named, Errc::kBadOption, "model ", Printable(name), ": unknown, did you mean ",
            NearestName(name, EmbeddedModelNames()), "? A file needs a path such as ./", Printable(name),
            ".safetensors");
  const ModelFiles files(embedded ? EmbeddedFile(name).string() : name);
  const ModelFamily& family = FamilyOf(files);
  CheckOptions(name, family, options);
  if (options.dtype != torch::kFloat32) nn::CheckProductDtype(options.dtype, options.device);
  Model model = family.open(files, options);
  model.family = family.name;
  model.device = options.device;
  if (embedded) {
    model.name = embedded->name;
    model.features = embedded->features;
  } else if (model.name.empty()) {
    model.name = files.path().stem().string();
  }
  GAS_CHECK(!model.guides_itself || !options.guidance_range, Errc::kBadOption, name,
            ": a range of guidance, must be one scale for a network that applies it itself");
  model.guidance = options.guidance;
  model.guidance_range = options.guidance_range;
  model.t_eps = EndOfSampling(*model.schedule, options.t_eps);
  return {&family, std::move(model)};
}

}  // namespace

Model OpenModel(const std::string& name, const ModelOptions& options) {
  Model model = OpenUnguided(name, options).model;
  if (!model.guides_itself) ApplyGuidance(model, options);
  return model;
}

std::function<Model(double scale)> OpenModelAtScales(const std::string& name, const ModelOptions& options) {
  GAS_ASSERT(!options.guidance_range);
  return [opened = OpenUnguided(name, options), options](double scale) {
    ModelOptions asked = options;
    asked.guidance = scale;
    Model model = opened.model;
    if (model.guides_itself) {
      model = opened.family->at_guidance(model, scale);
    } else {
      ApplyGuidance(model, asked);
    }
    model.guidance = scale;
    return model;
  };
}

void CheckFloat32(const ModelOptions& options, const std::string& name, std::string_view what) {
  GAS_CHECK(options.dtype == torch::kFloat32, Errc::kBadOption, name, ": dtype ",
            nn::kProductDtypeNames.NameOf(options.dtype), ", must be float32 for ", what);
}

Tensor ImagesOf(const Model& model, const Tensor& states, int64_t batch) {
  if (!model.codec) return states;
  const torch::NoGradGuard no_gradient;
  std::vector<Tensor> images;
  for (const Tensor& part : states.split(batch)) {
    images.push_back(model.codec->Decode(part.to(model.device)).to(states.device()));
  }
  return torch::cat(images);
}

std::vector<int64_t> ImageShapeOf(const Model& model) {
  if (!model.codec) return model.shape;
  std::vector<int64_t> state = model.shape;
  state.insert(state.begin(), 1);
  return ImagesOf(model, torch::zeros(state)).sizes().slice(1).vec();
}

bool MakesPictures(const Model& model) {
  const std::vector<int64_t>& shape = model.shape;
  return model.codec != nullptr || (shape.size() == 3 && (shape[0] == 1 || shape[0] == 3));
}

fs::path FeatureFileOf(const ModelCard& card) {
  GAS_CHECK(!card.features.empty(), Errc::kBadOption, "model ", card.name,
            " names no feature network for its images; --features FILE names one");
  return FeatureFile(card.features);
}

}  // namespace gas
