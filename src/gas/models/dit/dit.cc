#include "gas/models/dit/dit.h"

#include <set>

#include "gas/core/error.h"
#include "gas/nn/attention.h"
#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"

namespace gas::dit {
namespace {

constexpr double kNormEps = 1e-6;

using Part = std::shared_ptr<torch::nn::Module>;

Part AddModule(torch::nn::Module& parent, const char* name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

nn::Linear AddBiasedLinear(torch::nn::Module& parent, const char* name, int64_t in, int64_t out) {
  return parent.register_module(
      name, std::make_shared<nn::LinearImpl>(in, out, /*with_bias=*/true, nn::kTorchInit));
}

// Tokens [B,N,C] with each sample's own shift and scale, [B,C] each, once they are normalised.
Tensor Modulated(const Tensor& tokens, double eps, const Tensor& shift, const Tensor& scale) {
  return nn::LayerNorm(tokens, {}, {}, eps) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1);
}

}  // namespace

// Attention and a feed-forward layer, each on modulated tokens and added to them through a gate.
struct Block : torch::nn::Module {
  explicit Block(const NetworkConfig& c) : heads(c.heads), second_eps(c.second_norm_eps) {
    const Part attention = AddModule(*this, "attn"), mlp = AddModule(*this, "mlp");
    qkv = AddBiasedLinear(*attention, "qkv", c.width, 3 * c.width);
    proj = AddBiasedLinear(*attention, "proj", c.width, c.width);
    fc1 = AddBiasedLinear(*mlp, "fc1", c.width, c.inner_width);
    fc2 = AddBiasedLinear(*mlp, "fc2", c.inner_width, c.width);
    modulation = AddBiasedLinear(*AddModule(*this, "adaLN_modulation"), "1", c.width, 6 * c.width);
  }

  // tokens [B,N,C]; told [B,C], after its SiLU.
  Tensor forward(const Tensor& tokens, const Tensor& told) {
    const std::vector<Tensor> m = modulation->forward(told).chunk(6, 1);
    const Tensor x =
        tokens + m[2].unsqueeze(1) * Attended(Modulated(tokens, kNormEps, /*shift=*/m[0], /*scale=*/m[1]));
    const Tensor inner = fc1->forward(Modulated(x, second_eps, /*shift=*/m[3], /*scale=*/m[4]));
    return x + m[5].unsqueeze(1) * fc2->forward(nn::TanhGelu(inner));
  }

  Tensor Attended(const Tensor& tokens) {
    const std::vector<Tensor> parts = qkv->forward(tokens).chunk(3, 2);
    return proj->forward(nn::MultiHeadAttention(parts[0], parts[1], parts[2], heads));
  }

  int64_t heads;
  double second_eps;
  nn::Linear qkv, proj, fc1, fc2, modulation;
};

Transformer::Transformer(const NetworkConfig& config) : config_(config) {
  const NetworkConfig& c = config_;
  Validate("the transformer", c);
  positions_ = register_parameter("pos_embed", nn::Parameter({1, c.side() * c.side(), c.width}, [&] {
                                    return torch::zeros({1, c.side() * c.side(), c.width});
                                  }));
  patches_ = std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{.in = c.in_channels,
                                                                .out = c.width,
                                                                .kernel = c.patch_size,
                                                                .stride = c.patch_size,
                                                                .init = nn::kTorchInit});
  AddModule(*this, "x_embedder")->register_module("proj", patches_);
  const Part times = AddModule(*AddModule(*this, "t_embedder"), "mlp");
  time_in_ = AddBiasedLinear(*times, "0", c.time_channels, c.width);
  time_out_ = AddBiasedLinear(*times, "2", c.width, c.width);
  labels_ = AddModule(*AddModule(*this, "y_embedder"), "embedding_table")
                ->register_parameter("weight", nn::Parameter({c.label_rows, c.width}, [&] {
                                       return 0.02 * torch::randn({c.label_rows, c.width});
                                     }));
  const Part blocks = AddModule(*this, "blocks");
  for (int64_t i = 0; i < c.depth; ++i) {
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<Block>(c)));
  }
  const Part last = AddModule(*this, "final_layer");
  last_ = AddBiasedLinear(*last, "linear", c.width, c.patch_size * c.patch_size * c.out_channels);
  last_modulation_ = AddBiasedLinear(*AddModule(*last, "adaLN_modulation"), "1", c.width, 2 * c.width);
}

Transformer::~Transformer() = default;

Tensor Transformer::TokensOf(const Tensor& x) {
  const int64_t size = config_.input_size;
  GAS_CHECK(x.dim() == 4 && x.size(2) == size && x.size(3) == size, Errc::kBadOption, "states of shape ",
            x.sizes(), ", must be [B,", config_.in_channels, ",", size, ",", size, "]");
  const Tensor patches =
      nn::Conv2d(x, patches_->weight, patches_->bias, /*padding=*/0, /*stride=*/config_.patch_size);
  return patches.flatten(2).transpose(1, 2) + positions_;
}

Tensor Transformer::ToldOf(const Tensor& times, const Tensor& labels) {
  const Tensor waves = config_.endpoint_frequencies
                           ? nn::PositionalEmbedding(times, config_.time_channels, /*endpoint=*/true)
                           : nn::TimestepEmbedding(times, config_.time_channels);
  const Tensor time = time_out_->forward(torch::silu(time_in_->forward(waves)));
  const auto none =
      torch::full({}, config_.label_rows - 1, torch::TensorOptions(times.device()).dtype(torch::kInt64));
  const Tensor rows =
      labels.defined() ? torch::where(labels < 0, none, labels) : none.expand({times.size(0)});
  return torch::silu(time + torch::embedding(labels_, rows));
}

// Each token is a patch, of whose numbers the channel is the fastest.
Tensor Transformer::ImagesOf(const Tensor& tokens, const Tensor& told) {
  const std::vector<Tensor> m = last_modulation_->forward(told).chunk(2, 1);
  const Tensor numbers = last_->forward(Modulated(tokens, kNormEps, /*shift=*/m[0], /*scale=*/m[1]));
  const int64_t side = config_.side(), patch = config_.patch_size;
  return numbers.reshape({tokens.size(0), side, side, patch, patch, config_.out_channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({tokens.size(0), config_.out_channels, config_.input_size, config_.input_size});
}

Tensor Transformer::forward(const Tensor& x, const Tensor& times, const Tensor& labels) {
  const Tensor told = ToldOf(times, labels);
  Tensor tokens = TokensOf(x);
  for (const auto& block : blocks_) tokens = block->forward(tokens, told);
  return ImagesOf(tokens, told);
}

std::vector<Tensor> Transformer::InnerMaps(const Tensor& x, const Tensor& times, const Tensor& labels) {
  const int64_t depth = config_.depth, side = config_.side();
  const std::set<int64_t> shown = {(depth + 3) / 4, (depth + 1) / 2, (3 * depth + 3) / 4};
  const Tensor told = ToldOf(times, labels);
  Tensor tokens = TokensOf(x);
  std::vector<Tensor> maps;
  for (int64_t i = 0; i < *shown.rbegin(); ++i) {
    tokens = blocks_[i]->forward(tokens, told);
    if (shown.contains(i + 1)) {
      maps.push_back(tokens.transpose(1, 2).reshape({x.size(0), config_.width, side, side}));
    }
  }
  return maps;
}

Tensor PositionTable(int64_t side, int64_t width) {
  GAS_ASSERT(width % 4 == 0);
  const int64_t waves = width / 4;
  const Tensor exponents = torch::arange(waves, torch::kFloat64) / static_cast<double>(waves);
  const Tensor angle = torch::arange(side, torch::kFloat64).outer(torch::pow(10000.0, -exponents));
  const Tensor along = torch::cat({angle.sin(), angle.cos()}, 1);  // [side,width / 2]
  const Tensor columns = along.unsqueeze(0).expand({side, side, width / 2});
  const Tensor rows = along.unsqueeze(1).expand({side, side, width / 2});
  return torch::cat({columns, rows}, 2).reshape({1, side * side, width}).to(torch::kFloat32);
}

}  // namespace gas::dit
