#include "gas/models/sd/open_clip_tensors.h"

#include "gas/core/error.h"

namespace gas::sd {
namespace {

constexpr std::string_view kBlocks = "transformer.resblocks.";

// Of what is not inside a block; "" for others.
std::string NameOutside(const std::string& name) {
  static const std::map<std::string, std::string> names = {
      {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
      {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
      {"ln_final.weight", "text_model.final_layer_norm.weight"},
      {"ln_final.bias", "text_model.final_layer_norm.bias"},
      {"text_projection", "text_projection.weight"}};
  const auto found = names.find(name);
  return found == names.end() ? "" : found->second;
}

// "ln_1.weight" -> "layer_norm1.weight".
std::string NameInBlock(const std::string& name) {
  for (const auto& [theirs, ours] : {std::pair<std::string_view, std::string_view>{"ln_1", "layer_norm1"},
                                     {"ln_2", "layer_norm2"},
                                     {"mlp.c_fc", "mlp.fc1"},
                                     {"mlp.c_proj", "mlp.fc2"},
                                     {"attn.out_proj", "self_attn.out_proj"}}) {
    if (name.starts_with(theirs)) return std::string(ours) + name.substr(theirs.size());
  }
  return name;
}

}  // namespace

OpenClipTensors::OpenClipTensors(const TensorFile& file, const std::string& prefix) : file_(file) {
  name_ = file.name();
  for (const auto& [in_file, info] : file.tensors()) {
    if (!in_file.starts_with(prefix)) continue;
    const std::string name = in_file.substr(prefix.size());
    if (!name.starts_with(kBlocks)) {
      const std::string outside = NameOutside(name);
      Add(outside.empty() ? name : outside,
          {.in_file = in_file, .transposed = outside == "text_projection.weight" && info.shape.size() == 2});
      continue;
    }
    const size_t dot = std::min(name.find('.', kBlocks.size()), name.size() - 1);
    const std::string index = name.substr(kBlocks.size(), dot - kBlocks.size()), rest = name.substr(dot + 1);
    const std::string layer = "text_model.encoder.layers." + index + ".";
    const bool weight = rest == "attn.in_proj_weight", bias = rest == "attn.in_proj_bias";
    const bool joined = (weight || bias) && !info.shape.empty() && info.shape[0] % 3 == 0;
    if (!joined) {
      Add(layer + NameInBlock(rest), {.in_file = in_file});
      continue;
    }
    int64_t part = 0;
    for (const char* projection : {"q_proj.", "k_proj.", "v_proj."}) {
      Add(layer + "self_attn." + projection + (weight ? "weight" : "bias"),
          {.in_file = in_file, .part = part++, .parts = 3});
    }
  }
}

void OpenClipTensors::Add(const std::string& name, const Place& place) {
  TensorInfo info = file_.tensors().at(place.in_file);
  if (place.parts > 1) info.shape[0] /= place.parts;
  if (place.transposed) std::swap(info.shape[0], info.shape[1]);
  GAS_CHECK(tensors_.emplace(name, info).second, Errc::kBadFile, name_, ": two tensors are ", name,
            ", one is ", place.in_file);
  places_[name] = place;
}

Tensor OpenClipTensors::View(const std::string& tensor) const {
  const auto found = places_.find(tensor);
  GAS_CHECK(found != places_.end(), Errc::kBadFile, name_, ": tensor ", tensor, " is missing");
  const Place& place = found->second;
  const Tensor whole = file_.View(place.in_file);
  if (place.transposed) return whole.t().contiguous();
  return place.parts == 1 ? whole : whole.chunk(place.parts)[place.part];
}

}  // namespace gas::sd
