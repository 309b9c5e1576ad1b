#include "gas/models/r3gan/config.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/json.h"

namespace gas::r3gan {
namespace {

using Json = nlohmann::json;

void CheckRange(const char* key, int64_t value, int64_t low, int64_t high) {
  GAS_CHECK(value >= low && value <= high, Errc::kBadOption, "discriminator: ", key, " = ", value,
            ", must be in [", low, ", ", high, "]");
}

Config Published(int64_t channels, int64_t resolution, std::vector<int64_t> widths) {
  Config c{.channels = channels, .resolution = resolution, .widths = std::move(widths)};
  for (const int64_t width : c.widths) {
    c.cardinalities.push_back(width / 8);
    c.blocks.push_back(2);
  }
  return c;
}

// One field of the configuration, read from or written to the key of the same name.
template <class Visitor>
void VisitFields(Config& c, Visitor&& visit) {
  visit("in_channels", c.channels);
  visit("img_resolution", c.resolution);
  visit("WidthPerStage", c.widths);
  visit("CardinalityPerStage", c.cardinalities);
  visit("BlocksPerStage", c.blocks);
  visit("ExpansionFactor", c.expansion);
  visit("c_dim", c.classes);
  visit("ConditionEmbeddingDimension", c.outputs);
  visit("FP16Stages", c.bfloat16_stages);
}

// Shapes of a state dict, as far as they are asked for.
class ShapeReader {
 public:
  ShapeReader(const std::map<std::string, Tensor>& tensors, const std::string& file)
      : tensors_(tensors), file_(file) {}

  bool Has(const std::string& name) const { return tensors_.count(name) > 0; }
  int64_t Size(const std::string& name, int64_t rank, int64_t dim) const {
    const auto found = tensors_.find(name);
    GAS_CHECK(found != tensors_.end(), Errc::kBadFile, file_, ": tensor ", name, " is missing");
    GAS_CHECK(found->second.dim() == rank && found->second.numel() > 0, Errc::kBadFile, file_, ": tensor ",
              name, " has shape ", found->second.sizes(), ", must have ", rank,
              " dimensions, none of them empty");
    return found->second.size(dim);
  }

 private:
  const std::map<std::string, Tensor>& tensors_;
  std::string file_;
};

std::string Layer(int64_t stage, int64_t layer, const char* rest) {
  return "MainLayers." + std::to_string(stage) + ".Layers." + std::to_string(layer) + "." + rest;
}

}  // namespace

void Validate(const Config& c) {
  CheckRange("in_channels", c.channels, 1, 1024);
  CheckRange("img_resolution", c.resolution, 1, 8192);
  CheckRange("stages", c.stages(), 1, 14);
  GAS_CHECK(c.cardinalities.size() == c.widths.size() && c.blocks.size() == c.widths.size(), Errc::kBadOption,
            "discriminator: ", c.widths.size(), " widths, ", c.cardinalities.size(), " cardinalities and ",
            c.blocks.size(), " block counts, must be one of each per stage");
  CheckRange("ExpansionFactor", c.expansion, 1, 16);
  CheckRange("c_dim", c.classes, 0, 1 << 20);
  CheckRange("ConditionEmbeddingDimension", c.outputs, 1, 1 << 16);
  for (size_t stage = 0; stage < c.widths.size(); ++stage) {
    CheckRange("WidthPerStage", c.widths[stage], 1, 1 << 14);
    CheckRange("BlocksPerStage", c.blocks[stage], 0, 64);
    const int64_t inner = c.widths[stage] * c.expansion, groups = c.cardinalities[stage];
    CheckRange("CardinalityPerStage", groups, 1, inner);
    GAS_CHECK(inner % groups == 0, Errc::kBadOption, "discriminator: CardinalityPerStage = ", groups,
              ", must divide the ", inner, " channels inside a block of stage ", stage);
  }
  for (const int64_t stage : c.bfloat16_stages) CheckRange("FP16Stages", stage, 0, c.stages() - 1);
  GAS_CHECK(c.ResolutionOf(c.stages() - 1) >= 1, Errc::kBadOption,
            "discriminator: img_resolution = ", c.resolution, ", cannot be halved ", c.stages() - 1,
            " times for ", c.stages(), " stages");
}

int64_t ElementCount(const Config& c) {
  const int64_t last = c.widths.back(), side = c.ResolutionOf(c.stages() - 1);
  int64_t count = c.channels * c.widths[0] + last * side * side + c.outputs * (last + c.classes);
  for (int64_t stage = 0; stage < c.stages(); ++stage) {
    const int64_t width = c.widths[stage], inner = width * c.expansion;
    count += c.blocks[stage] * inner * (2 * width + 9 * (inner / c.cardinalities[stage]) + 2);
    if (stage + 1 == c.stages()) break;
    count += 16 + (c.widths[stage + 1] == width ? 0 : width * c.widths[stage + 1]);
  }
  return count;
}

std::vector<std::string> PresetNames() {
  return {"r3gan-cifar10", "r3gan-ffhq64", "r3gan-latent-3", "r3gan-latent-4"};
}

Config Preset(const std::string& name) {
  if (name == "r3gan-cifar10") {
    Config c = Published(3, 32, {768, 768, 768, 768});
    c.classes = 10;
    c.outputs = 768;
    c.bfloat16_stages = {0, 1, 2};
    return c;
  }
  if (name == "r3gan-ffhq64") {
    Config c = Published(3, 64, {384, 768, 768, 768, 768});
    c.bfloat16_stages = {0, 1, 2, 3};
    return c;
  }
  if (name == "r3gan-latent-3") return Published(3, 64, {384, 768, 768, 768, 768});
  if (name == "r3gan-latent-4") return Published(4, 64, {384, 768, 768, 768, 768});
  Fail(Errc::kBadOption, "discriminator = ", name, ": unknown, did you mean ",
       NearestName(name, PresetNames()), "?");
}

Config ConfigFor(int64_t channels, int64_t resolution, int64_t width, int64_t blocks_per_stage) {
  CheckRange("width", width, 8, 4096);
  GAS_CHECK(width % 8 == 0, Errc::kBadOption, "discriminator: width = ", width, ", must be a multiple of 8");
  Config c{.channels = channels, .resolution = resolution};
  for (int64_t stage = 0; stage == 0 || c.resolution >> (stage - 1) > 7; ++stage) {
    c.widths.push_back(width << std::min<int64_t>(stage, 2));
    c.cardinalities.push_back(c.widths.back() / 8);  // groups of 16 channels at twice the width
    c.blocks.push_back(blocks_per_stage);
  }
  Validate(c);
  return c;
}

Config ConfigFromJson(const Json& init_kwargs) {
  GAS_CHECK(init_kwargs.is_object(), Errc::kBadFile, "discriminator: init_kwargs is not a JSON object");
  const std::string where = "discriminator: init_kwargs.";
  try {
    Config config;
    std::vector<std::string> known;
    VisitFields(config, [&](const char* key, auto& field) {
      known.emplace_back(key);
      if (init_kwargs.contains(key)) ReadField(where + key, init_kwargs[key], field);
    });
    known.emplace_back("ConditionDimension");  // c_dim in the inner class of a snapshot
    if (init_kwargs.contains("ConditionDimension")) {
      ReadField(where + "ConditionDimension", init_kwargs["ConditionDimension"], config.classes);
    }
    for (const auto& [key, value] : init_kwargs.items()) {
      GAS_CHECK(std::find(known.begin(), known.end(), key) != known.end(), Errc::kBadFile,
                "discriminator: init_kwargs.", Printable(key), ": unknown key, did you mean ",
                NearestName(key, known), "?");
    }
    Validate(config);
    return config;
  } catch (const Error& e) {
    Fail(Errc::kBadFile, e.what());
  }
}

Json ToJson(const Config& config) {
  Json json;
  Config copy = config;
  VisitFields(copy, [&](const char* key, auto& field) { json[key] = field; });
  return json;
}

Config ConfigFromTensors(const std::map<std::string, Tensor>& tensors, const std::string& file) {
  const ShapeReader shapes(tensors, file);
  Config c;
  c.channels = shapes.Size("ExtractionLayer.Layer.weight", 4, 1);
  int64_t width = shapes.Size("ExtractionLayer.Layer.weight", 4, 0);
  for (int64_t stage = 0; stage < 14; ++stage) {
    int64_t block = 0;
    for (; shapes.Has(Layer(stage, block, "LinearLayer2.Layer.weight")); ++block) {
      const int64_t inner = shapes.Size(Layer(stage, block, "LinearLayer2.Layer.weight"), 4, 0);
      const int64_t per_group = shapes.Size(Layer(stage, block, "LinearLayer2.Layer.weight"), 4, 1);
      c.expansion = inner / width;
      if (block == 0) c.cardinalities.push_back(inner / per_group);
    }
    if (block == 0) c.cardinalities.push_back(1);
    c.widths.push_back(width);
    c.blocks.push_back(block);
    if (shapes.Has(Layer(stage, block, "Basis.weight"))) {
      c.resolution = shapes.Size(Layer(stage, block, "Basis.weight"), 4, 2) << stage;
      c.outputs = shapes.Size(Layer(stage, block, "LinearLayer.weight"), 2, 0);
      break;
    }
    const std::string matching = Layer(stage, block, "LinearLayer.Layer.weight");
    if (shapes.Has(matching)) width = shapes.Size(matching, 4, 0);
  }
  if (shapes.Has("EmbeddingLayer.weight")) c.classes = shapes.Size("EmbeddingLayer.weight", 2, 1);
  try {
    Validate(c);
  } catch (const Error& e) {
    Fail(Errc::kBadFile, file, ": ", e.what());
  }
  return c;
}

}  // namespace gas::r3gan
