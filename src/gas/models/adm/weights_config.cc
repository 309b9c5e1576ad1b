// The sizes of a U-Net from the names and shapes of its tensors.
#include <algorithm>

#include "gas/core/error.h"
#include "gas/models/adm/config.h"

namespace gas::adm {
namespace {

using openai_unet::UNetConfig;

// Images of 2^30 pixels a side are no images.
constexpr int64_t kMostLevels = 30;

class Shapes {
 public:
  explicit Shapes(const TensorFile& file) : file_(file) {}

  bool Has(const std::string& tensor) const { return file_.tensors().contains(tensor); }
  bool HasBelow(const std::string& prefix) const {
    const auto found = file_.tensors().lower_bound(prefix);
    return found != file_.tensors().end() && found->first.starts_with(prefix);
  }
  // The shape of a tensor that has at least so many dimensions.
  const std::vector<int64_t>& Of(const std::string& tensor, size_t least_dims) const {
    const auto found = file_.tensors().find(tensor);
    GAS_CHECK(found != file_.tensors().end(), Errc::kBadFile, file_.name(), ": tensor ", tensor,
              " is missing");
    const std::vector<int64_t>& shape = found->second.shape;
    const bool empty = std::ranges::any_of(shape, [](int64_t size) { return size <= 0; });
    GAS_CHECK(shape.size() >= least_dims && !empty, Errc::kBadFile, file_.name(), ": tensor ", tensor,
              " has shape ", at::IntArrayRef(shape), ", must have ", least_dims, " dimensions, none empty");
    return shape;
  }

 private:
  const TensorFile& file_;
};

// Stages are numbered without gaps.
int64_t CountStages(const Shapes& shapes, const std::string& side) {
  int64_t count = 0;
  while (shapes.HasBelow(side + "." + std::to_string(count) + ".")) ++count;
  return count;
}

// Whether a stage of the decoder ends with what doubles its images: a second residual block or a convolution.
bool HasUpsampling(const Shapes& shapes, int64_t stage, bool* by_block) {
  const std::string prefix = "output_blocks." + std::to_string(stage) + ".";
  for (const char* layer : {"1.", "2."}) {
    if (shapes.Has(prefix + layer + "in_layers.0.weight")) return *by_block = true;
    if (shapes.Has(prefix + layer + "conv.weight")) return true;
  }
  return false;
}

// How many levels there are, and of how many residual blocks each.
void ReadLevels(const Shapes& shapes, const std::string& file, UNetConfig& c) {
  const int64_t stages = CountStages(shapes, "output_blocks");
  int64_t levels = 1;
  for (int64_t stage = 0; stage < stages; ++stage) {
    levels += HasUpsampling(shapes, stage, &c.resblock_updown) ? 1 : 0;
  }
  GAS_CHECK(levels <= kMostLevels, Errc::kBadFile, file, ": its decoder has ", levels,
            " levels, must be at most ", kMostLevels);
  GAS_CHECK(stages >= 2 * levels && stages % levels == 0, Errc::kBadFile, file, ": its decoder has ", stages,
            " stages (output_blocks) on ", levels, " levels, must be as many on each, 2 or more");
  c.num_res_blocks = stages / levels - 1;
  c.channel_mult.assign(levels, 1.0);
}

// The first stage of a level of the encoder that is a residual block of this level.
std::string FirstBlockOf(const UNetConfig& c, int64_t level) {
  return "input_blocks." + std::to_string(1 + level * (c.num_res_blocks + 1)) + ".";
}

}  // namespace

bool HasAdmNames(const TensorFile& weights) {
  const auto& tensors = weights.tensors();
  return std::ranges::all_of(
      std::initializer_list<const char*>{"time_embed.0.weight", "input_blocks.0.0.weight",
                                         "middle_block.1.qkv.weight", "output_blocks.0.0.in_layers.0.weight",
                                         "out.2.weight"},
      [&](const char* name) { return tensors.contains(name); });
}

UNetConfig ConfigOfWeights(const TensorFile& weights) {
  const Shapes shapes(weights);
  UNetConfig c;
  c.model_channels = shapes.Of("time_embed.0.weight", 2)[1];
  c.in_channels = shapes.Of("input_blocks.0.0.weight", 4)[1];
  c.out_channels = shapes.Of("out.2.weight", 4)[0];
  c.num_classes = shapes.Has("label_emb.weight") ? shapes.Of("label_emb.weight", 2)[0] : 0;
  c.qkv_dims = static_cast<int64_t>(shapes.Of("middle_block.1.qkv.weight", 3).size());
  ReadLevels(shapes, weights.name(), c);
  for (int64_t level = 0; level < c.levels(); ++level) {
    const std::string block = FirstBlockOf(c, level);
    const int64_t channels = shapes.Of(block + "0.out_layers.3.weight", 4)[0];
    c.channel_mult[level] = static_cast<double>(channels) / static_cast<double>(c.model_channels);
    if (shapes.Has(block + "1.qkv.weight")) c.attention_resolutions.push_back(int64_t{1} << level);
  }
  const std::string first = FirstBlockOf(c, 0);
  const int64_t embedded = shapes.Of(first + "0.emb_layers.1.weight", 2)[0];
  const int64_t channels = shapes.Of(first + "0.out_layers.3.weight", 4)[0];
  c.use_scale_shift_norm =
      embedded % 2 == 0 && embedded / 2 == channels;  // twice as many, which may not overflow
  return c;
}

}  // namespace gas::adm
