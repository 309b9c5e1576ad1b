#include "gas/models/dit/diffusers_tensors.h"

#include "gas/core/error.h"
#include "gas/models/dit/dit.h"

namespace gas::dit {
namespace {

constexpr std::string_view kTheirBlocks = "transformer_blocks.";
constexpr std::string_view kEmbeddings = "norm1.emb.";

struct Renaming {
  std::string_view theirs, original;
};

// Beginnings of names, outside the blocks and inside one.
constexpr Renaming kOutside[] = {{"pos_embed.proj.", "x_embedder.proj."},
                                 {"proj_out_1.", "final_layer.adaLN_modulation.1."},
                                 {"proj_out_2.", "final_layer.linear."}};
constexpr Renaming kInside[] = {{"norm1.linear.", "adaLN_modulation.1."},
                                {"attn1.to_out.0.", "attn.proj."},
                                {"ff.net.0.proj.", "mlp.fc1."},
                                {"ff.net.2.", "mlp.fc2."}};
constexpr Renaming kEmbedded[] = {{"timestep_embedder.linear_1.", "t_embedder.mlp.0."},
                                  {"timestep_embedder.linear_2.", "t_embedder.mlp.2."},
                                  {"class_embedder.", "y_embedder."}};

// By the first of the beginnings that fits; the name as it is without one.
std::string RenamedBy(std::span<const Renaming> names, const std::string& name) {
  for (const Renaming& renaming : names) {
    if (name.starts_with(renaming.theirs))
      return std::string(renaming.original) + name.substr(renaming.theirs.size());
  }
  return name;
}

}  // namespace

DiffusersTensors::DiffusersTensors(std::shared_ptr<const TensorFile> file, int64_t input_size)
    : file_(std::move(file)) {
  name_ = file_->name();
  for (const auto& [name, info] : file_->tensors()) {
    if (!name.starts_with(kTheirBlocks)) {
      Add(RenamedBy(kOutside, name), {name});
      continue;
    }
    const size_t dot = std::min(name.find('.', kTheirBlocks.size()), name.size() - 1);
    const std::string index = name.substr(kTheirBlocks.size(), dot - kTheirBlocks.size());
    const std::string rest = name.substr(dot + 1), block = "blocks." + index + ".";
    if (rest.starts_with(kEmbeddings)) {
      if (index == "0") Add(RenamedBy(kEmbedded, rest.substr(kEmbeddings.size())), {name});
      continue;
    }
    if (rest == "attn1.to_q.weight" || rest == "attn1.to_q.bias") {
      const std::string attention = name.substr(0, dot + 1) + "attn1.", end = rest.substr(rest.rfind('.'));
      Add(block + "attn.qkv" + end, {name, attention + "to_k" + end, attention + "to_v" + end});
      continue;
    }
    const bool joined = rest.starts_with("attn1.to_k.") || rest.starts_with("attn1.to_v.");
    if (!joined) Add(block + RenamedBy(kInside, rest), {name});
  }
  AddPositions(input_size);
}

void DiffusersTensors::Add(const std::string& name, std::vector<std::string> in_file) {
  TensorInfo info{torch::kFloat32, {}};
  for (const std::string& part : in_file) {
    const auto found = file_->tensors().find(part);
    GAS_CHECK(found != file_->tensors().end(), Errc::kBadFile, name_, ": tensor ", part, " is missing");
    const bool first = info.shape.empty();
    GAS_CHECK(first || found->second.shape == file_->tensors().at(in_file.front()).shape, Errc::kBadFile,
              name_, ": tensor ", part, " has shape ", at::IntArrayRef(found->second.shape),
              ", must have that of ", in_file.front());
    if (first) info = found->second;
  }
  if (in_file.size() > 1 && !info.shape.empty()) info.shape[0] *= static_cast<int64_t>(in_file.size());
  GAS_CHECK(tensors_.emplace(name, info).second, Errc::kBadFile, name_, ": two tensors are ", name,
            ", one is ", in_file.front());
  places_[name] = std::move(in_file);
}

void DiffusersTensors::AddPositions(int64_t input_size) {
  const auto found = tensors_.find("x_embedder.proj.weight");
  if (found == tensors_.end() || found->second.shape.size() != 4) return;  // NetworkOfWeights says so
  const int64_t width = found->second.shape[0], patch = found->second.shape[2];
  GAS_CHECK(patch > 0 && input_size % patch == 0 && input_size / patch <= 1 << 10 && width % 4 == 0 &&
                width <= 1 << 14,
            Errc::kBadFile, name_, ": patches of ", patch, " and a width of ", width, " for states of side ",
            input_size, ", must divide the side, at most 1024 times, and be a multiple of 4 up to 16384");
  positions_ = PositionTable(input_size / patch, width);
  tensors_["pos_embed"] = {torch::kFloat32, positions_.sizes().vec()};
}

Tensor DiffusersTensors::View(const std::string& tensor) const {
  if (tensor == "pos_embed" && positions_.defined()) return positions_;
  const auto found = places_.find(tensor);
  GAS_CHECK(found != places_.end(), Errc::kBadFile, name_, ": tensor ", tensor, " is missing");
  if (found->second.size() == 1) return file_->View(found->second.front());
  std::vector<Tensor> parts;
  for (const std::string& part : found->second) parts.push_back(file_->View(part));
  return torch::cat(parts);
}

}  // namespace gas::dit
