#include "gas/models/openai_unet/unet.h"

#include "gas/core/error.h"
#include "gas/models/class_labels.h"
#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/transformer.h"

namespace gas::openai_unet {
namespace {

constexpr int64_t kOutputGroups = 32;
constexpr double kOutputEps = 1e-5;

template <class Layer>
std::shared_ptr<Layer> Append(torch::nn::Module& stage, std::shared_ptr<Layer> layer) {
  return stage.register_module(std::to_string(stage.children().size()), std::move(layer));
}

void CheckLabels(const Tensor& labels, int64_t batch, int64_t classes) {
  if (!labels.defined()) return;
  GAS_CHECK(classes > 0, Errc::kBadOption, "network: class labels for a network without classes");
  GAS_CHECK(labels.dim() == 1 && labels.size(0) == batch, Errc::kBadOption, "network: class labels of shape ",
            labels.sizes(), ", must be [", batch, "]");
  CheckClassLabels("", labels, -1, classes);
}

}  // namespace

Tensor UNet::Stage::Run(Tensor x, const Shared& shared) const {
  for (const auto& layer : layers) x = layer(x, shared);
  return x;
}

UNet::UNet(const UNetConfig& config) : config_(config), embedding_(4 * config.model_channels) {
  Validate(config_);
  const auto time_embed = register_module("time_embed", std::make_shared<torch::nn::Module>());
  const auto linear = [&](const char* name, int64_t in) {
    return time_embed->register_module(
        name, std::make_shared<nn::LinearImpl>(in, embedding_, /*with_bias=*/true, nn::kTorchInit));
  };
  time0_ = linear("0", config_.model_channels);
  time2_ = linear("2", embedding_);
  if (config_.num_classes > 0) {
    const std::vector<int64_t> shape = {config_.num_classes, embedding_};
    label_embedding_ =
        register_module("label_emb", std::make_shared<torch::nn::Module>())
            ->register_parameter("weight", nn::Parameter(shape, [&] { return torch::randn(shape); }));
  }
  if (config_.vector_dim > 0) AddVectorEmbedding();
  BuildEncoder();
  BuildDecoder();
  const int64_t channels = config_.ChannelsOf(0);
  const auto out = register_module("out", std::make_shared<torch::nn::Module>());
  out_norm_ =
      out->register_module("0", std::make_shared<nn::GroupNormImpl>(channels, kOutputGroups, kOutputEps));
  out_conv_ =
      out->register_module("2", std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{
                                    .in = channels, .out = config_.out_channels, .init = nn::kTorchInit}));
}

void UNet::AddVectorEmbedding() {
  const auto label_emb = register_module("label_emb", std::make_shared<torch::nn::Module>());
  const auto layers = label_emb->register_module("0", std::make_shared<torch::nn::Module>());
  const auto linear = [&](const char* name, int64_t in) {
    return layers->register_module(
        name, std::make_shared<nn::LinearImpl>(in, embedding_, /*with_bias=*/true, nn::kTorchInit));
  };
  vector0_ = linear("0", config_.vector_dim);
  vector2_ = linear("2", embedding_);
}

UNet::Stage UNet::AddStage(torch::nn::Module& side, const std::string& name) {
  return {side.register_module(name, std::make_shared<torch::nn::Module>()), {}};
}

void UNet::AddResBlock(Stage& stage, int64_t in, int64_t out, Resampling resampling) const {
  const auto block =
      Append(*stage.module,
             std::make_shared<ResBlock>(ResBlockOptions{.in = in,
                                                        .out = out,
                                                        .embedding = embedding_,
                                                        .resampling = resampling,
                                                        .scale_shift = config_.use_scale_shift_norm}));
  stage.layers.push_back(
      [block](const Tensor& x, const Shared& shared) { return block->forward(x, shared.embedding); });
}

void UNet::AddAttention(Stage& stage, int64_t level) const {
  const int64_t channels = config_.ChannelsOf(level), heads = config_.HeadsOf(channels);
  if (config_.use_spatial_transformer) {
    const auto block =
        Append(*stage.module, std::make_shared<nn::SpatialTransformerImpl>(
                                  nn::TransformerOptions{.channels = channels,
                                                         .heads = heads,
                                                         .context_channels = config_.context_dim,
                                                         .depth = config_.DepthOf(level)}));
    stage.layers.push_back(
        [block](const Tensor& x, const Shared& shared) { return block->forward(x, shared.context); });
    return;
  }
  const auto block = Append(
      *stage.module, std::make_shared<AttentionBlock>(AttentionOptions{.channels = channels,
                                                                       .heads = heads,
                                                                       .order = config_.qkv_order,
                                                                       .weight_dims = config_.qkv_dims}));
  stage.layers.push_back([block](const Tensor& x, const Shared&) { return block->forward(x); });
}

void UNet::AddResampling(Stage& stage, int64_t channels, Resampling resampling) const {
  if (config_.resblock_updown) return AddResBlock(stage, channels, channels, resampling);
  const auto conv = Append(*stage.module, std::make_shared<ResamplingConv>(channels, resampling));
  stage.layers.push_back([conv](const Tensor& x, const Shared&) { return conv->forward(x); });
}

void UNet::BuildEncoder() {
  const auto side = register_module("input_blocks", std::make_shared<torch::nn::Module>());
  int64_t channels = config_.ChannelsOf(0);
  const auto add_stage = [&]() -> Stage& {
    encoder_.push_back(AddStage(*side, std::to_string(encoder_.size())));
    return encoder_.back();
  };
  Stage& first = add_stage();
  const auto conv =
      Append(*first.module, std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{
                                .in = config_.in_channels, .out = channels, .init = nn::kTorchInit}));
  first.layers.push_back([conv](const Tensor& x, const Shared&) { return conv->forward(x); });
  skip_channels_.push_back(channels);
  for (int64_t level = 0; level < config_.levels(); ++level) {
    for (int64_t i = 0; i < config_.num_res_blocks; ++i) {
      Stage& stage = add_stage();
      AddResBlock(stage, channels, config_.ChannelsOf(level));
      channels = config_.ChannelsOf(level);
      if (config_.HasAttention(level)) AddAttention(stage, level);
      skip_channels_.push_back(channels);
    }
    if (level + 1 == config_.levels()) break;
    AddResampling(add_stage(), channels, Resampling::kDown);
    skip_channels_.push_back(channels);
  }
}

void UNet::BuildDecoder() {
  int64_t channels = config_.ChannelsOf(config_.levels() - 1);
  middle_ = AddStage(*this, "middle_block");
  AddResBlock(middle_, channels, channels);
  AddAttention(middle_, config_.levels() - 1);
  AddResBlock(middle_, channels, channels);
  const auto side = register_module("output_blocks", std::make_shared<torch::nn::Module>());
  for (int64_t level = config_.levels() - 1; level >= 0; --level) {
    for (int64_t i = 0; i <= config_.num_res_blocks; ++i) {
      Stage stage = AddStage(*side, std::to_string(decoder_.size()));
      AddResBlock(stage, channels + skip_channels_.back(), config_.ChannelsOf(level));
      skip_channels_.pop_back();
      channels = config_.ChannelsOf(level);
      if (config_.HasAttention(level)) AddAttention(stage, level);
      if (level > 0 && i == config_.num_res_blocks) AddResampling(stage, channels, Resampling::kUp);
      decoder_.push_back(std::move(stage));
    }
  }
}

void UNet::Check(const Tensor& x, const Told& told) const {
  const int64_t shrink = int64_t{1} << (config_.levels() - 1);
  GAS_CHECK(
      x.dim() == 4 && x.size(1) == config_.in_channels && x.size(2) % shrink == 0 && x.size(3) % shrink == 0,
      Errc::kBadOption, "network input of shape ", x.sizes(), ", must be [B, ", config_.in_channels,
      ", H, W] with H and W multiples of ", shrink);
  GAS_CHECK(told.timesteps.dim() == 1 && told.timesteps.size(0) == x.size(0), Errc::kBadOption,
            "network: timesteps of shape ", told.timesteps.sizes(), ", must be [", x.size(0), "]");
  CheckLabels(told.labels, x.size(0), config_.num_classes);
  const Tensor& context = told.context;
  const bool wanted = config_.use_spatial_transformer && config_.context_dim > 0;
  GAS_CHECK(context.defined() == wanted, Errc::kBadOption, "network: a context is ",
            wanted ? "missing" : "given to a network without one");
  GAS_CHECK(!wanted || (context.dim() == 3 && context.size(0) == x.size(0) &&
                        context.size(2) == config_.context_dim),
            Errc::kBadOption, "network: context of shape ", context.sizes(), ", must be [", x.size(0),
            ", M, ", config_.context_dim, "]");
  const bool has_vector = config_.vector_dim > 0;
  GAS_CHECK(told.vector.defined() == has_vector, Errc::kBadOption, "network: a vector is ",
            has_vector ? "missing" : "given to a network without one");
  GAS_CHECK(!has_vector || told.vector.sizes() == at::IntArrayRef({x.size(0), config_.vector_dim}),
            Errc::kBadOption, "network: vector of shape ", told.vector.sizes(), ", must be [", x.size(0),
            ", ", config_.vector_dim, "]");
}

UNet::Shared UNet::SharedOf(const Tensor& x, const Told& told) {
  Check(x, told);
  const Tensor times = nn::TimestepEmbedding(told.timesteps.to(x.scalar_type()), config_.model_channels);
  Tensor embedding = time2_->forward(torch::silu(time0_->forward(times)));
  if (told.vector.defined()) {
    embedding = embedding + vector2_->forward(torch::silu(vector0_->forward(told.vector)));
  }
  if (told.labels.defined()) {
    const Tensor rows = label_embedding_.index_select(0, told.labels.clamp_min(0));
    embedding = embedding + rows * (told.labels >= 0).unsqueeze(1).to(rows.scalar_type());
  }
  return {torch::silu(embedding), told.context};
}

std::vector<Tensor> UNet::Encode(const Tensor& x, const Shared& shared) const {
  std::vector<Tensor> outputs;
  Tensor h = x;
  for (const Stage& stage : encoder_) {
    h = stage.Run(std::move(h), shared);
    outputs.push_back(h);
  }
  return outputs;
}

Tensor UNet::forward(const Tensor& x, const Told& told) {
  const Shared shared = SharedOf(x, told);
  std::vector<Tensor> skips = Encode(x, shared);
  Tensor h = middle_.Run(skips.back(), shared);
  for (const Stage& stage : decoder_) {
    h = torch::cat({h, skips.back()}, 1);
    skips.pop_back();
    h = stage.Run(std::move(h), shared);
  }
  return out_conv_->forward(out_norm_->forward(h, /*silu=*/true));
}

std::vector<Tensor> UNet::EncoderFeatures(const Tensor& x, const Told& told) {
  return Encode(x, SharedOf(x, told));
}

}  // namespace gas::openai_unet
