#include "gas/models/autoencoder/coder.h"

#include <algorithm>
#include <utility>

#include "gas/nn/attention.h"
#include "gas/nn/ops.h"

namespace gas::autoencoder {
namespace {

constexpr int64_t kGroups = 32;
constexpr double kEps = 1e-6;

nn::GroupNormLayer Norm(int64_t channels) {
  return std::make_shared<nn::GroupNormImpl>(channels, kGroups, kEps);
}

nn::Conv2dLayer Convolution3x3(int64_t in, int64_t out) {
  return std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{.in = in, .out = out});
}

// Halves the side: a zero row and column are added on the right and below alone, where an even image would
// otherwise lack them.
Tensor Downsample(const nn::Conv2dImpl& conv, const Tensor& x) {
  const Tensor padded = torch::constant_pad_nd(x, {0, 1, 0, 1});
  return nn::Conv2d(padded, conv.weight, conv.bias, /*padding=*/0, /*stride=*/2);
}

// Registers the parts of a level in `holder` as block.0, attn.0, ... `to` channels leave it.
Level MakeLevel(torch::nn::Module& holder, int64_t from, int64_t to, int64_t blocks, bool attention) {
  Level level;
  const auto block_names = holder.register_module("block", std::make_shared<torch::nn::Module>());
  const auto attention_names = holder.register_module("attn", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string name = std::to_string(i);
    level.blocks.push_back(
        block_names->register_module(name, std::make_shared<ResnetBlock>(i == 0 ? from : to, to)));
    if (attention)
      level.attention.push_back(attention_names->register_module(name, std::make_shared<AttnBlock>(to)));
  }
  return level;
}

// The convolution beside a resampling, as NAME.conv.
nn::Conv2dLayer MakeResampling(torch::nn::Module& holder, const char* name, int64_t channels) {
  return holder.register_module(name, std::make_shared<torch::nn::Module>())
      ->register_module("conv", Convolution3x3(channels, channels));
}

bool HasAttention(const AutoencoderConfig& c, int64_t level) {
  const int64_t side = c.resolution >> level;
  return std::find(c.attn_resolutions.begin(), c.attn_resolutions.end(), side) != c.attn_resolutions.end();
}

int64_t Channels(const AutoencoderConfig& c, int64_t level) { return c.width * c.channel_mult[level]; }

}  // namespace

nn::Conv2dLayer Pointwise(int64_t in, int64_t out) {
  return std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{.in = in, .out = out, .kernel = 1});
}

ResnetBlock::ResnetBlock(int64_t in, int64_t out)
    : norm1_(register_module("norm1", Norm(in))),
      norm2_(register_module("norm2", Norm(out))),
      conv1_(register_module("conv1", Convolution3x3(in, out))),
      conv2_(register_module("conv2", Convolution3x3(out, out))) {
  if (in != out) shortcut_ = register_module("nin_shortcut", Pointwise(in, out));
}

// At full resolution each tensor is a large part of all memory, so that none lives longer than it must.
Tensor ResnetBlock::forward(Tensor x) {
  const Tensor beside = shortcut_ ? shortcut_->forward(x) : x;
  Tensor h = shortcut_ ? norm1_->InPlace(x, /*silu=*/true) : norm1_->forward(x, /*silu=*/true);
  x.reset();
  h = conv1_->forward(h);
  h = norm2_->InPlace(h, /*silu=*/true);
  // In place: a fresh output of a convolution, which nobody else reads.
  return conv2_->forward(h).add_(beside);
}

AttnBlock::AttnBlock(int64_t channels)
    : norm_(register_module("norm", Norm(channels))),
      q_(register_module("q", Pointwise(channels, channels))),
      k_(register_module("k", Pointwise(channels, channels))),
      v_(register_module("v", Pointwise(channels, channels))),
      proj_out_(register_module("proj_out", Pointwise(channels, channels))) {}

Tensor AttnBlock::forward(const Tensor& x) {
  const Tensor h = norm_->forward(x);
  const auto tokens = [](const Tensor& map) { return map.flatten(2).transpose(1, 2); };  // [B,H*W,C]
  const Tensor mixed = nn::MultiHeadAttention(tokens(q_->forward(h)), tokens(k_->forward(h)),
                                              tokens(v_->forward(h)), /*heads=*/1);
  return x + proj_out_->forward(mixed.transpose(1, 2).reshape_as(x));
}

Tensor Level::Apply(Tensor h) const {
  for (size_t i = 0; i < blocks.size(); ++i) {
    h = blocks[i]->forward(std::move(h));
    if (!attention.empty()) h = attention[i]->forward(h);
  }
  return h;
}

Middle::Middle(int64_t channels)
    : block_1_(register_module("block_1", std::make_shared<ResnetBlock>(channels, channels))),
      block_2_(register_module("block_2", std::make_shared<ResnetBlock>(channels, channels))),
      attn_1_(register_module("attn_1", std::make_shared<AttnBlock>(channels))) {}

Tensor Middle::forward(const Tensor& x) { return block_2_->forward(attn_1_->forward(block_1_->forward(x))); }

Encoder::Encoder(const AutoencoderConfig& c) {
  conv_in_ = register_module("conv_in", Convolution3x3(c.in_channels, c.width));
  const auto down = register_module("down", std::make_shared<torch::nn::Module>());
  const auto levels = static_cast<int64_t>(c.channel_mult.size());
  int64_t channels = c.width;
  for (int64_t i = 0; i < levels; ++i) {
    const auto holder = down->register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
    levels_.push_back(MakeLevel(*holder, channels, Channels(c, i), c.blocks, HasAttention(c, i)));
    channels = Channels(c, i);
    if (i + 1 < levels) levels_.back().resample = MakeResampling(*holder, "downsample", channels);
  }
  mid_ = register_module("mid", std::make_shared<Middle>(channels));
  norm_out_ = register_module("norm_out", Norm(channels));
  const int64_t outputs = (c.kind == Kind::kKl ? 2 : 1) * c.inner_channels;
  conv_out_ = register_module("conv_out", Convolution3x3(channels, outputs));
}

Tensor Encoder::forward(const Tensor& images) {
  Tensor h = conv_in_->forward(images);
  for (const Level& level : levels_) {
    h = level.Apply(std::move(h));
    if (level.resample) h = Downsample(*level.resample, h);
  }
  return conv_out_->forward(norm_out_->forward(mid_->forward(h), /*silu=*/true));
}

Decoder::Decoder(const AutoencoderConfig& c) {
  const auto levels = static_cast<int64_t>(c.channel_mult.size());
  int64_t channels = Channels(c, levels - 1);
  conv_in_ = register_module("conv_in", Convolution3x3(c.inner_channels, channels));
  mid_ = register_module("mid", std::make_shared<Middle>(channels));
  const auto up = register_module("up", std::make_shared<torch::nn::Module>());
  levels_.resize(levels);
  for (int64_t i = levels - 1; i >= 0; --i) {
    const auto holder = up->register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
    levels_[i] = MakeLevel(*holder, channels, Channels(c, i), c.blocks + 1, HasAttention(c, i));
    channels = Channels(c, i);
    if (i > 0) levels_[i].resample = MakeResampling(*holder, "upsample", channels);
  }
  norm_out_ = register_module("norm_out", Norm(channels));
  conv_out_ = register_module("conv_out", Convolution3x3(channels, c.out_channels));
}

Tensor Decoder::forward(const Tensor& z) {
  Tensor h = mid_->forward(conv_in_->forward(z));
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
    h = level->Apply(std::move(h));
    if (level->resample) h = nn::ConvolvedUpsampling(h, level->resample->weight, level->resample->bias);
  }
  return conv_out_->forward(norm_out_->InPlace(h, /*silu=*/true));
}

}  // namespace gas::autoencoder
