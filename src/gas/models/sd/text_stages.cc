#include "gas/models/sd/text_stages.h"

#include "gas/core/error.h"
#include "gas/io/json_mapping.h"
#include "gas/io/tensor_shapes.h"

namespace gas::sd {
namespace {

constexpr int64_t kHeadWidth = 64;

text::Activation ActivationOf(const std::string& what, const nlohmann::json& json) {
  std::string name;
  ReadNeeded(what, json, "hidden_act", name);
  if (name == "quick_gelu") return text::Activation::kQuickGelu;
  GAS_CHECK(name == "gelu", Errc::kBadFile, what, ".hidden_act = ", Quoted(name),
            ", must be \"quick_gelu\" or \"gelu\"");
  return text::Activation::kGelu;
}

bool HasProjection(const nlohmann::json& json) {
  const nlohmann::json names = json.value("architectures", nlohmann::json::array());
  return names.is_array() && !names.empty() && names[0] == "CLIPTextModelWithProjection";
}

}  // namespace

text::ClipTextConfig ClipTextFromJson(const std::string& what, const nlohmann::json& json) {
  GAS_CHECK(json.is_object(), Errc::kBadFile, what, " is no object");
  text::ClipTextConfig c;
  ReadNeeded(what, json, "hidden_size", c.width);
  ReadNeeded(what, json, "num_hidden_layers", c.layers);
  ReadNeeded(what, json, "num_attention_heads", c.heads);
  ReadNeeded(what, json, "intermediate_size", c.inner_width);
  ReadOptional(what, json, "vocab_size", c.vocabulary);
  ReadOptional(what, json, "max_position_embeddings", c.positions);
  // Encoders without a projection state a width of it too.
  if (HasProjection(json)) ReadNeeded(what, json, "projection_dim", c.projected_width);
  c.activation = ActivationOf(what, json);
  const std::pair<const char*, nlohmann::json> made[] = {{"layer_norm_eps", 1e-5}};
  CheckFixed(what, json, made);
  text::Validate(what, c);
  return c;
}

text::ClipTextConfig ClipTextOfWeights(const TensorFile& file, const std::string& prefix) {
  const TensorShapes shapes(file, prefix);
  const std::string layers = "text_model.encoder.layers.";
  text::ClipTextConfig c{.layers = 0};
  c.vocabulary = shapes.OfMatrix("text_model.embeddings.token_embedding.weight")[0];
  c.width = shapes.OfMatrix("text_model.embeddings.token_embedding.weight")[1];
  c.positions = shapes.OfMatrix("text_model.embeddings.position_embedding.weight")[0];
  c.inner_width = shapes.OfMatrix(layers + "0.mlp.fc1.weight")[0];
  while (shapes.Has(layers + std::to_string(c.layers) + ".mlp.fc1.weight")) ++c.layers;
  c.heads = c.width % kHeadWidth == 0 ? c.width / kHeadWidth : 0;
  return c;
}

}  // namespace gas::sd
