#include "gas/models/text/clip_text.h"

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/nn/attention.h"
#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"

namespace gas::text {
namespace {

std::shared_ptr<torch::nn::Module> AddPart(torch::nn::Module& parent, const char* name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

nn::Linear AddLinear(torch::nn::Module& parent, const char* name, int64_t in, int64_t out) {
  return parent.register_module(
      name, std::make_shared<nn::LinearImpl>(in, out, /*with_bias=*/true, nn::kTorchInit));
}

// The rows of an embedding, NAME.weight.
Tensor AddRows(torch::nn::Module& parent, const char* name, int64_t rows, int64_t width) {
  return AddPart(parent, name)->register_parameter("weight", nn::Parameter({rows, width}, [&] {
                                                     return 0.02 * torch::randn({rows, width});
                                                   }));
}

}  // namespace

// Attention and a feed-forward layer, each on normalised tokens and added to them.
struct ClipText::Layer : torch::nn::Module {
  explicit Layer(const ClipTextConfig& c) : heads(c.heads), activation(c.activation) {
    const auto attention = AddPart(*this, "self_attn"), mlp = AddPart(*this, "mlp");
    q = AddLinear(*attention, "q_proj", c.width, c.width);
    k = AddLinear(*attention, "k_proj", c.width, c.width);
    v = AddLinear(*attention, "v_proj", c.width, c.width);
    out = AddLinear(*attention, "out_proj", c.width, c.width);
    fc1 = AddLinear(*mlp, "fc1", c.width, c.inner_width);
    fc2 = AddLinear(*mlp, "fc2", c.inner_width, c.width);
    norm1 = register_module("layer_norm1", std::make_shared<nn::LayerNormImpl>(c.width));
    norm2 = register_module("layer_norm2", std::make_shared<nn::LayerNormImpl>(c.width));
  }
  Tensor forward(const Tensor& tokens) {
    const Tensor own = norm1->forward(tokens);
    const Tensor seen =
        nn::MultiHeadAttention(q->forward(own), k->forward(own), v->forward(own), heads, nn::Sees::kEarlier);
    const Tensor x = tokens + out->forward(seen);
    const Tensor inner = fc1->forward(norm2->forward(x));
    return x + fc2->forward(activation == Activation::kGelu ? nn::Gelu(inner) : nn::QuickGelu(inner));
  }

  int64_t heads;
  Activation activation;
  nn::Linear q, k, v, out, fc1, fc2;
  nn::LayerNormLayer norm1, norm2;
};

void Validate(const std::string& what, const ClipTextConfig& c) {
  const auto check = [&](const char* name, int64_t value, int64_t low, int64_t high) {
    CheckInClosed(Errc::kBadFile, what + ": " + name, value, low, high);
  };
  check("hidden_size", c.width, 1, 1 << 14);
  check("num_hidden_layers", c.layers, 1, 256);
  check("num_attention_heads", c.heads, 1, c.width);
  check("intermediate_size", c.inner_width, 1, 1 << 17);
  check("vocab_size", c.vocabulary, 1, 1 << 20);
  check("max_position_embeddings", c.positions, 3, 1 << 14);
  check("projection_dim", c.projected_width, 0, 1 << 14);
  GAS_CHECK(c.width % c.heads == 0, Errc::kBadFile, what, ": hidden_size = ", c.width,
            ", must be a multiple of num_attention_heads = ", c.heads);
}

ClipText::ClipText(const ClipTextConfig& config) : config_(config) {
  Validate("text encoder", config_);
  const auto model = AddPart(*this, "text_model"), embeddings = AddPart(*model, "embeddings");
  tokens_ = AddRows(*embeddings, "token_embedding", config_.vocabulary, config_.width);
  positions_ = AddRows(*embeddings, "position_embedding", config_.positions, config_.width);
  const auto layers = AddPart(*AddPart(*model, "encoder"), "layers");
  for (int64_t i = 0; i < config_.layers; ++i) {
    layers_.push_back(layers->register_module(std::to_string(i), std::make_shared<Layer>(config_)));
  }
  final_norm_ =
      model->register_module("final_layer_norm", std::make_shared<nn::LayerNormImpl>(config_.width));
  if (config_.projected_width > 0) {
    const std::vector<int64_t> shape = {config_.projected_width, config_.width};
    projection_ = AddPart(*this, "text_projection")->register_parameter("weight", nn::Parameter(shape, [&] {
                                                                          return 0.02 * torch::randn(shape);
                                                                        }));
  }
}

EncodedText ClipText::forward(const Tensor& ids, int64_t end) {
  GAS_ASSERT(ids.dim() == 2 && ids.size(1) <= config_.positions);
  Tensor x = torch::embedding(tokens_, ids) + positions_.slice(0, 0, ids.size(1));
  EncodedText encoded;
  for (const auto& layer : layers_) {
    encoded.penultimate = x;
    x = layer->forward(x);
  }
  encoded.last = final_norm_->forward(x);
  if (projection_.defined()) {
    const Tensor at = (ids == end).to(torch::kInt64).argmax(1);  // the first of several
    const Tensor rows = torch::arange(ids.size(0), at.options());
    encoded.pooled = nn::FullyConnected(encoded.last.index({rows, at}), projection_, {});
  }
  return encoded;
}

}  // namespace gas::text
