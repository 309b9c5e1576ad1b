// The sizes of a U-Net from the names and shapes of its tensors.
#include "gas/models/openai_unet/weights_config.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/tensor_shapes.h"

namespace gas::openai_unet {
namespace {

// Images of 2^30 pixels a side are no images.
constexpr int64_t kMostLevels = 30;

// Parts PREFIX.0, PREFIX.1, ... are numbered without gaps.
int64_t CountParts(const TensorShapes& shapes, const std::string& prefix) {
  int64_t count = 0;
  while (shapes.HasBelow(prefix + "." + std::to_string(count) + ".")) ++count;
  return count;
}

// Whether a stage of the decoder ends with what doubles its images: a second residual block or a convolution.
bool HasUpsampling(const TensorShapes& shapes, int64_t stage, bool* by_block) {
  const std::string prefix = "output_blocks." + std::to_string(stage) + ".";
  for (const char* layer : {"1.", "2."}) {
    if (shapes.Has(prefix + layer + "in_layers.0.weight")) return *by_block = true;
    if (shapes.Has(prefix + layer + "conv.weight")) return true;
  }
  return false;
}

// How many levels there are, and of how many residual blocks each.
void ReadLevels(const TensorShapes& shapes, const std::string& file, UNetConfig& c) {
  const int64_t stages = CountParts(shapes, "output_blocks");
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

// Attention of either kind, and the depth of the transformers where it is of theirs.
void ReadAttention(const TensorShapes& shapes, UNetConfig& c) {
  const std::string middle = "middle_block.1.";
  c.use_spatial_transformer = shapes.Has(middle + "proj_in.weight");
  if (!c.use_spatial_transformer)
    c.qkv_dims = static_cast<int64_t>(shapes.OfAtLeast(middle + "qkv.weight", 3).size());
  if (c.use_spatial_transformer) c.transformer_depth.assign(c.levels(), 0);
  for (int64_t level = 0; level < c.levels(); ++level) {
    const std::string block = FirstBlockOf(c, level) + "1.";
    const int64_t depth = CountParts(shapes, block + "transformer_blocks");
    if (depth > 0 || shapes.Has(block + "qkv.weight")) c.attention_resolutions.push_back(int64_t{1} << level);
    if (c.use_spatial_transformer) c.transformer_depth[level] = depth;
  }
  if (!c.use_spatial_transformer) return;
  // A last level without transformers still has them in the middle.
  c.transformer_depth.back() = CountParts(shapes, middle + "transformer_blocks");
  // Keys come from the context, or from the tokens themselves, whose channels are the queries'.
  const std::string attention = middle + "transformer_blocks.0.attn2.";
  const int64_t context = shapes.OfAtLeast(attention + "to_k.weight", 2)[1];
  c.context_dim = context == shapes.OfAtLeast(attention + "to_q.weight", 2)[1] ? 0 : context;
}

}  // namespace

UNetConfig ConfigOfWeights(const TensorFile& weights, const std::string& prefix) {
  const TensorShapes shapes(weights, prefix);
  UNetConfig c;
  c.model_channels = shapes.OfAtLeast("time_embed.0.weight", 2)[1];
  c.in_channels = shapes.OfAtLeast("input_blocks.0.0.weight", 4)[1];
  c.out_channels = shapes.OfAtLeast("out.2.weight", 4)[0];
  c.num_classes = shapes.Has("label_emb.weight") ? shapes.OfAtLeast("label_emb.weight", 2)[0] : 0;
  c.vector_dim = shapes.Has("label_emb.0.0.weight") ? shapes.OfAtLeast("label_emb.0.0.weight", 2)[1] : 0;
  ReadLevels(shapes, weights.name(), c);
  for (int64_t level = 0; level < c.levels(); ++level) {
    const int64_t channels = shapes.OfAtLeast(FirstBlockOf(c, level) + "0.out_layers.3.weight", 4)[0];
    c.channel_mult[level] = static_cast<double>(channels) / static_cast<double>(c.model_channels);
  }
  ReadAttention(shapes, c);
  const std::string first = FirstBlockOf(c, 0);
  const int64_t embedded = shapes.OfAtLeast(first + "0.emb_layers.1.weight", 2)[0];
  const int64_t channels = shapes.OfAtLeast(first + "0.out_layers.3.weight", 4)[0];
  c.use_scale_shift_norm =
      embedded % 2 == 0 && embedded / 2 == channels;  // twice as many, which may not overflow
  return c;
}

}  // namespace gas::openai_unet
