#include "gas/models/openai_unet/config.h"

#include <algorithm>

#include "gas/core/error.h"

namespace gas::openai_unet {
namespace {

void CheckRange(const char* name, int64_t value, int64_t low, int64_t high) {
  GAS_CHECK(value >= low && value <= high, Errc::kBadOption, "network: ", name, " = ", value,
            ", must be in [", low, ", ", high, "]");
}

void CheckChannels(const UNetConfig& c) {
  for (int64_t level = 0; level < c.levels(); ++level) {
    const double mult = c.channel_mult[level];
    GAS_CHECK(mult > 0 && mult <= 64, Errc::kBadOption, "network: channel_mult[", level, "] = ", mult,
              ", must be in (0, 64]");
    GAS_CHECK(c.ChannelsOf(level) > 0 && c.ChannelsOf(level) % 32 == 0, Errc::kBadOption, "network: level ",
              level, " has ", c.ChannelsOf(level), " channels, must be a multiple of its 32 groups");
  }
}

void CheckHeads(const UNetConfig& c) {
  const auto check = [&](int64_t channels) {
    const int64_t divisor = c.num_head_channels > 0 ? c.num_head_channels : c.num_heads;
    GAS_CHECK(channels % divisor == 0, Errc::kBadOption, "network: attention over ", channels,
              " channels, which ", c.num_head_channels > 0 ? "num_head_channels" : "num_heads", " = ",
              divisor, " does not divide");
  };
  check(c.ChannelsOf(c.levels() - 1));  // the middle block's
  for (int64_t level = 0; level < c.levels(); ++level) {
    if (c.HasAttention(level)) check(c.ChannelsOf(level));
  }
}

}  // namespace

int64_t UNetConfig::ChannelsOf(int64_t level) const {
  return std::llround(channel_mult[level] * static_cast<double>(model_channels));
}

bool UNetConfig::HasAttention(int64_t level) const {
  return std::ranges::find(attention_resolutions, int64_t{1} << level) != attention_resolutions.end();
}

int64_t UNetConfig::DepthOf(int64_t level) const {
  return transformer_depth.size() == 1 ? transformer_depth[0] : transformer_depth[level];
}

int64_t UNetConfig::HeadsOf(int64_t channels) const {
  return num_head_channels > 0 ? channels / num_head_channels : num_heads;
}

void Validate(const UNetConfig& c) {
  CheckRange("in_channels", c.in_channels, 1, 1024);
  CheckRange("out_channels", c.out_channels, 1, 1024);
  CheckRange("model_channels", c.model_channels, 2, 8192);
  GAS_CHECK(c.model_channels % 2 == 0, Errc::kBadOption, "network: model_channels = ", c.model_channels,
            ", must be even");
  CheckRange("channel_mult levels", c.levels(), 1, 10);
  CheckRange("num_res_blocks", c.num_res_blocks, 1, 64);
  CheckRange("num_head_channels", c.num_head_channels, 0, 8192);
  CheckRange("num_heads", c.num_heads, 1, 8192);
  CheckRange("num_classes", c.num_classes, 0, 1 << 20);
  const auto depths = static_cast<int64_t>(c.transformer_depth.size());
  GAS_CHECK(depths == 1 || depths == c.levels(), Errc::kBadOption, "network: transformer_depth has ", depths,
            " numbers, must have 1 or one for each of the ", c.levels(), " levels");
  // 0 where a level has none.
  for (const int64_t depth : c.transformer_depth) CheckRange("transformer_depth", depth, 0, 64);
  CheckRange("vector_dim", c.vector_dim, 0, 1 << 16);
  CheckRange("context_dim", c.context_dim, 0, 1 << 16);
  CheckRange("qkv_dims", c.qkv_dims, 3, 4);
  GAS_CHECK(c.num_classes == 0 || c.vector_dim == 0, Errc::kBadOption,
            "network: num_classes = ", c.num_classes, ", must be 0 beside vector_dim = ", c.vector_dim);
  CheckChannels(c);
  CheckHeads(c);
}

}  // namespace gas::openai_unet
