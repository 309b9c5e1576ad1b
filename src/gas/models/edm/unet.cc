#include "gas/models/edm/unet.h"

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/nn/layers.h"
#include "gas/nn/ops.h"

namespace gas::edm {
namespace {

using nn::Conv2dImpl;
using nn::Conv2dLayer;
using nn::Conv2dOptions;
using nn::GroupNormImpl;
using nn::GroupNormLayer;
using nn::Init;
using nn::Linear;
using nn::LinearImpl;
using nn::UNetBlock;
using nn::UNetBlockImpl;
using nn::UNetBlockOptions;

bool Contains(const std::vector<int64_t>& values, int64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// One entry of the encoder or decoder, in order of evaluation.
struct Stage {
  enum class Kind { kConv, kBlock, kAuxDown, kAuxSkip, kAuxResidual, kAuxUp, kAuxOutput } kind;
  Conv2dLayer conv;
  UNetBlock block;
  GroupNormLayer norm;
};

// What both families share: embedding layers, the lists of stages, and how names are made.
class UNetBase : public UNet {
 public:
  explicit UNetBase(const UNetConfig& config) : c_(config) {
    enc_ = register_module("enc", std::make_shared<torch::nn::Module>());
    dec_ = register_module("dec", std::make_shared<torch::nn::Module>());
  }

  std::vector<Tensor> EncoderFeatures(const Tensor& x, const Tensor& noise_labels,
                                      const Tensor& class_labels) override {
    return Encode(x, Embed(noise_labels, class_labels));
  }

 protected:
  using Kind = Stage::Kind;

  int64_t levels() const { return static_cast<int64_t>(c_.channel_mult.size()); }
  int64_t Resolution(int64_t level) const { return c_.img_resolution >> level; }
  static std::string Name(int64_t resolution, const std::string& part) {
    return std::to_string(resolution) + "x" + std::to_string(resolution) + "_" + part;
  }

  Linear AddLinear(const char* name, int64_t in, int64_t out, bool bias, const Init& init) {
    return register_module(name, std::make_shared<LinearImpl>(in, out, bias, init));
  }
  void AddConv(torch::nn::Module& side, std::vector<Stage>& stages, Kind kind, const std::string& name,
               const Conv2dOptions& options) {
    stages.push_back({kind, side.register_module(name, std::make_shared<Conv2dImpl>(options)), {}, {}});
  }
  void AddBlock(torch::nn::Module& side, std::vector<Stage>& stages, const std::string& name, int64_t in,
                int64_t out, bool attention, bool up = false, bool down = false) {
    UNetBlockOptions options = BlockOptions(out, attention);
    options.in = in;
    options.out = out;
    options.up = up;
    options.down = down;
    stages.push_back(
        {Kind::kBlock, {}, side.register_module(name, std::make_shared<UNetBlockImpl>(options)), {}});
  }
  // The blocks of a level of the encoder, after its first stage, which left `channels`; returns what they
  // leave.
  int64_t AddEncoderBlocks(int64_t level, int64_t channels) {
    const int64_t r = Resolution(level);
    skip_channels_.push_back(channels);
    for (int64_t i = 0; i < c_.num_blocks; ++i) {
      const int64_t in = channels;
      channels = c_.model_channels * c_.channel_mult[level];
      AddBlock(*enc_, encoder_, Name(r, "block" + std::to_string(i)), in, channels,
               Contains(c_.attn_resolutions, r));
      skip_channels_.push_back(channels);
    }
    return channels;
  }
  // A level of the decoder, which takes the encoder's outputs from the last one on. At a resolution with
  // attention it is in every block, or in the last alone.
  int64_t AddDecoderLevel(int64_t level, int64_t channels, bool attention_in_last_alone) {
    const int64_t r = Resolution(level);
    if (level == levels() - 1) {
      AddBlock(*dec_, decoder_, Name(r, "in0"), channels, channels, true);
      AddBlock(*dec_, decoder_, Name(r, "in1"), channels, channels, false);
    } else {
      AddBlock(*dec_, decoder_, Name(r, "up"), channels, channels, false, true, false);
    }
    for (int64_t i = 0; i <= c_.num_blocks; ++i) {
      const int64_t in = channels + skip_channels_.back();
      skip_channels_.pop_back();
      channels = c_.model_channels * c_.channel_mult[level];
      const bool attention =
          Contains(c_.attn_resolutions, r) && (i == c_.num_blocks || !attention_in_last_alone);
      AddBlock(*dec_, decoder_, Name(r, "block" + std::to_string(i)), in, channels, attention);
    }
    return channels;
  }

  // What every block is told of noise level and class, [B,embedding].
  virtual Tensor Embed(const Tensor& noise_labels, const Tensor& class_labels) = 0;
  // The outputs of the encoder's stages.
  virtual std::vector<Tensor> Encode(const Tensor& x, const Tensor& emb) = 0;
  virtual UNetBlockOptions BlockOptions(int64_t out, bool attention) const = 0;

  // In training the whole label vector is dropped with probability label_dropout, so that guidance can be
  // used.
  Tensor DropLabels(const Tensor& labels) const {
    if (!is_training() || c_.label_dropout == 0) return labels;
    return labels *
           (torch::rand({labels.size(0), 1}, labels.options()) >= c_.label_dropout).to(labels.scalar_type());
  }

  UNetConfig c_;
  std::shared_ptr<torch::nn::Module> enc_, dec_;
  std::vector<Stage> encoder_, decoder_;

 private:
  std::vector<int64_t> skip_channels_;  // of the encoder's outputs that no decoder stage has taken yet
};

class SongUNet : public UNetBase {
 public:
  explicit SongUNet(const UNetConfig& config)
      : UNetBase(config), embedding_(c_.model_channels * c_.channel_mult_emb) {
    const int64_t noise = c_.model_channels * c_.channel_mult_noise;
    if (c_.embedding_type == "fourier") {
      auto map_noise = register_module("map_noise", std::make_shared<torch::nn::Module>());
      frequencies_ = map_noise->register_buffer("freqs", torch::randn({noise / 2}) * 16);
    }
    if (c_.label_dim > 0) map_label_ = AddLinear("map_label", c_.label_dim, noise, true, kInit);
    if (c_.augment_dim > 0) AddLinear("map_augment", c_.augment_dim, noise, false, kInit);
    map_layer0_ = AddLinear("map_layer0", noise, embedding_, true, kInit);
    map_layer1_ = AddLinear("map_layer1", embedding_, embedding_, true, kInit);
    BuildEncoder();
    BuildDecoder();
  }

  Tensor forward(const Tensor& x, const Tensor& noise_labels, const Tensor& class_labels) override {
    const Tensor emb = Embed(noise_labels, class_labels);
    std::vector<Tensor> skips = Encode(x, emb);
    Tensor h = skips.back(), aux;
    for (Stage& stage : decoder_) h = DecoderStage(stage, std::move(h), aux, skips, emb);
    return aux;
  }

 private:
  static constexpr Init kInit{};
  static constexpr Init kZero{.weight = 1e-5};
  static constexpr Init kAttention{.weight = 0.4472135954999579};  // sqrt(0.2)

  UNetBlockOptions BlockOptions(int64_t out, bool attention) const override {
    return {.embedding = embedding_,
            .heads = attention ? 1 : 0,
            .dropout = c_.dropout,
            .skip_scale = std::sqrt(0.5),
            .eps = 1e-6,
            .resample_filter = c_.resample_filter,
            .resample_proj = true,
            .adaptive_scale = false,
            .init = kInit,
            .init_zero = kZero,
            .init_attention = kAttention};
  }

  void BuildEncoder() {
    int64_t out = c_.in_channels, aux = c_.in_channels;
    for (int64_t level = 0; level < levels(); ++level) {
      const int64_t r = Resolution(level);
      if (level == 0) {
        AddConv(*enc_, encoder_, Kind::kConv, Name(r, "conv"),
                {.in = out, .out = c_.model_channels, .init = kInit});
        out = c_.model_channels;
      } else {
        AddBlock(*enc_, encoder_, Name(r, "down"), out, out, false, false, true);
        if (c_.encoder_type == "skip") {
          AddConv(*enc_, encoder_, Kind::kAuxDown, Name(r, "aux_down"),
                  {.in = aux, .out = aux, .kernel = 0, .down = true, .resample_filter = c_.resample_filter});
          AddConv(*enc_, encoder_, Kind::kAuxSkip, Name(r, "aux_skip"),
                  {.in = aux, .out = out, .kernel = 1, .init = kInit});
        } else if (c_.encoder_type == "residual") {
          AddConv(*enc_, encoder_, Kind::kAuxResidual, Name(r, "aux_residual"),
                  {.in = aux,
                   .out = out,
                   .down = true,
                   .resample_filter = c_.resample_filter,
                   .fused_resample = true,
                   .init = kInit});
          aux = out;
        }
      }
      out = AddEncoderBlocks(level, out);
    }
  }

  void BuildDecoder() {
    int64_t out = c_.model_channels * c_.channel_mult.back();
    for (int64_t level = levels() - 1; level >= 0; --level) {
      out = AddDecoderLevel(level, out, /*attention_in_last_alone=*/true);
      if (c_.decoder_type == "skip" || level == 0) AddOutput(level, out);
    }
  }

  void AddOutput(int64_t level, int64_t channels) {
    const int64_t r = Resolution(level);
    if (c_.decoder_type == "skip" && level < levels() - 1) {
      AddConv(*dec_, decoder_, Kind::kAuxUp, Name(r, "aux_up"),
              {.in = c_.out_channels,
               .out = c_.out_channels,
               .kernel = 0,
               .up = true,
               .resample_filter = c_.resample_filter});
    }
    auto norm = dec_->register_module(Name(r, "aux_norm"), std::make_shared<GroupNormImpl>(channels, 1e-6));
    AddConv(*dec_, decoder_, Kind::kAuxOutput, Name(r, "aux_conv"),
            {.in = channels, .out = c_.out_channels, .init = kZero});
    decoder_.back().norm = norm;
  }

  Tensor Embed(const Tensor& noise_labels, const Tensor& class_labels) override {
    Tensor emb = frequencies_.defined()
                     ? nn::FourierEmbedding(noise_labels, frequencies_)
                     : nn::PositionalEmbedding(noise_labels, c_.model_channels * c_.channel_mult_noise, true);
    // The published networks were trained with sine before cosine.
    emb = emb.reshape({emb.size(0), 2, -1}).flip(1).reshape(emb.sizes());
    if (map_label_) {
      emb =
          emb + map_label_->forward(DropLabels(class_labels) * std::sqrt(static_cast<double>(c_.label_dim)));
    }
    emb = torch::silu(map_layer0_->forward(emb));
    return torch::silu(map_layer1_->forward(emb));
  }

  std::vector<Tensor> Encode(const Tensor& x, const Tensor& emb) override {
    std::vector<Tensor> skips;
    Tensor h = x, aux = x;
    for (Stage& stage : encoder_) h = EncoderStage(stage, h, aux, skips, emb);
    return skips;
  }

  static Tensor EncoderStage(Stage& stage, const Tensor& h, Tensor& aux, std::vector<Tensor>& skips,
                             const Tensor& e) {
    switch (stage.kind) {
      case Kind::kAuxDown: aux = stage.conv->forward(aux); return h;
      case Kind::kAuxSkip: return skips.back() = h + stage.conv->forward(aux);
      case Kind::kAuxResidual: return skips.back() = aux = (h + stage.conv->forward(aux)) / std::sqrt(2.0);
      default:
        skips.push_back(stage.block ? stage.block->forward(h, e) : stage.conv->forward(h));
        return skips.back();
    }
  }

  // Takes h, so that what is joined to the block's input is freed before the block runs.
  static Tensor DecoderStage(Stage& stage, Tensor h, Tensor& aux, std::vector<Tensor>& skips,
                             const Tensor& e) {
    if (stage.kind == Kind::kAuxUp) {
      aux = stage.conv->forward(aux);
      return h;
    }
    if (stage.kind == Kind::kAuxOutput) {
      const Tensor out = stage.conv->forward(stage.norm->forward(h, /*silu=*/true));
      aux = aux.defined() ? out + aux : out;
      return h;
    }
    if (h.size(1) == stage.block->in_channels()) return stage.block->forward(h, e);
    h = torch::cat({h, skips.back()}, 1);
    skips.pop_back();
    return stage.block->forward(h, e);
  }

  int64_t embedding_;
  Tensor frequencies_;
  Linear map_label_, map_layer0_, map_layer1_;
};

class DhariwalUNet : public UNetBase {
 public:
  explicit DhariwalUNet(const UNetConfig& config)
      : UNetBase(config), embedding_(c_.model_channels * c_.channel_mult_emb) {
    if (c_.augment_dim > 0) AddLinear("map_augment", c_.augment_dim, c_.model_channels, false, kZero);
    map_layer0_ = AddLinear("map_layer0", c_.model_channels, embedding_, true, kInit);
    map_layer1_ = AddLinear("map_layer1", embedding_, embedding_, true, kInit);
    if (c_.label_dim > 0) {
      map_label_ = AddLinear("map_label", c_.label_dim, embedding_, false,
                             {.mode = Init::Mode::kKaimingNormal, .weight = std::sqrt(double(c_.label_dim))});
    }
    Build();
  }

  Tensor forward(const Tensor& x, const Tensor& noise_labels, const Tensor& class_labels) override {
    const Tensor emb = Embed(noise_labels, class_labels);
    std::vector<Tensor> skips = Encode(x, emb);
    Tensor h = skips.back();
    for (Stage& stage : decoder_) {
      if (h.size(1) != stage.block->in_channels()) {
        h = torch::cat({h, skips.back()}, 1);
        skips.pop_back();
      }
      h = stage.block->forward(h, emb);
    }
    return out_conv_->forward(out_norm_->forward(h, /*silu=*/true));
  }

 private:
  static constexpr Init kInit{Init::Mode::kKaimingUniform, 0.5773502691896258,
                              0.5773502691896258};  // sqrt(1/3)
  static constexpr Init kZero{Init::Mode::kKaimingUniform, 0.0, 0.0};

  UNetBlockOptions BlockOptions(int64_t out, bool attention) const override {
    return {.embedding = embedding_,
            .heads = attention ? out / 64 : 0,
            .dropout = c_.dropout,
            .init = kInit,
            .init_zero = kZero,
            .init_attention = kInit};
  }

  Tensor Embed(const Tensor& noise_labels, const Tensor& class_labels) override {
    Tensor emb = nn::PositionalEmbedding(noise_labels, c_.model_channels, false);
    emb = map_layer1_->forward(torch::silu(map_layer0_->forward(emb)));
    if (map_label_) emb = emb + map_label_->forward(DropLabels(class_labels));
    return torch::silu(emb);
  }

  std::vector<Tensor> Encode(const Tensor& x, const Tensor& emb) override {
    std::vector<Tensor> skips;
    Tensor h = x;
    for (Stage& stage : encoder_) {
      h = stage.block ? stage.block->forward(h, emb) : stage.conv->forward(h);
      skips.push_back(h);
    }
    return skips;
  }

  void Build() {
    int64_t out = c_.model_channels * c_.channel_mult[0];
    for (int64_t level = 0; level < levels(); ++level) {
      const int64_t r = Resolution(level);
      if (level == 0) {
        AddConv(*enc_, encoder_, Kind::kConv, Name(r, "conv"),
                {.in = c_.in_channels, .out = out, .init = kInit});
      } else {
        AddBlock(*enc_, encoder_, Name(r, "down"), out, out, false, false, true);
      }
      out = AddEncoderBlocks(level, out);
    }
    for (int64_t level = levels() - 1; level >= 0; --level) {
      out = AddDecoderLevel(level, out, /*attention_in_last_alone=*/false);
    }
    out_norm_ = register_module("out_norm", std::make_shared<GroupNormImpl>(out, 1e-5));
    out_conv_ = register_module("out_conv", std::make_shared<Conv2dImpl>(Conv2dOptions{
                                                .in = out, .out = c_.out_channels, .init = kZero}));
  }

  int64_t embedding_;
  Linear map_layer0_, map_layer1_, map_label_;
  GroupNormLayer out_norm_;
  Conv2dLayer out_conv_;
};

void CheckResampleFilter(const UNetConfig& c) {
  const std::vector<double>& taps = c.resample_filter;
  // Doubling with an odd number of taps leaves out a row, and the decoder's images no longer fit the
  // encoder's.
  GAS_CHECK(taps.size() % 2 == 0, Errc::kBadOption, "network: resample_filter has ", taps.size(),
            " taps, must be an even number of them");
  GAS_CHECK(c.model_type == "SongUNet" || taps == std::vector<double>({1, 1}), Errc::kBadOption,
            "network: resample_filter = ", at::ArrayRef<double>(taps), ", must be [1, 1] for ", c.model_type,
            ", which knows no other");
}

void Validate(const UNetConfig& c) {
  const auto one_of = [](const char* key, const std::string& value,
                         std::initializer_list<const char*> allowed) {
    std::string list;
    for (const char* name : allowed) {
      if (value == name) return;
      list += (list.empty() ? "" : ", ") + std::string(name);
    }
    Fail(Errc::kBadOption, "network: ", key, " = ", value, ", must be one of ", list);
  };
  one_of("model_type", c.model_type, {"SongUNet", "DhariwalUNet"});
  one_of("embedding_type", c.embedding_type, {"positional", "fourier"});
  one_of("encoder_type", c.encoder_type, {"standard", "skip", "residual"});
  one_of("decoder_type", c.decoder_type, {"standard", "skip"});
  CheckInClosed(Errc::kBadOption, "network: img_resolution", c.img_resolution, 1, 8192);
  CheckInClosed(Errc::kBadOption, "network: in_channels", c.in_channels, 1, 1024);
  CheckInClosed(Errc::kBadOption, "network: out_channels", c.out_channels, 1, 1024);
  CheckInClosed(Errc::kBadOption, "network: label_dim", c.label_dim, 0, 1 << 20);
  CheckInClosed(Errc::kBadOption, "network: augment_dim", c.augment_dim, 0, 1024);
  CheckInClosed(Errc::kBadOption, "network: model_channels", c.model_channels, 4, 8192);
  CheckInClosed(Errc::kBadOption, "network: channel_mult_emb", c.channel_mult_emb, 1, 64);
  CheckInClosed(Errc::kBadOption, "network: channel_mult_noise", c.channel_mult_noise, 1, 64);
  CheckInClosed(Errc::kBadOption, "network: num_blocks", c.num_blocks, 1, 64);
  CheckInClosed(Errc::kBadOption, "network: channel_mult levels", static_cast<int64_t>(c.channel_mult.size()),
                1, 10);
  for (const int64_t mult : c.channel_mult)
    CheckInClosed(Errc::kBadOption, "network: channel_mult", mult, 1, 64);
  GAS_CHECK(c.model_channels % 4 == 0, Errc::kBadOption, "network: model_channels = ", c.model_channels,
            ", must be a multiple of 4");
  CheckResampleFilter(c);
  const int64_t shrink = int64_t{1} << (c.channel_mult.size() - 1);
  GAS_CHECK(c.img_resolution % shrink == 0, Errc::kBadOption, "network: img_resolution = ", c.img_resolution,
            ", must be a multiple of ", shrink, " for ", c.channel_mult.size(), " levels");
}

}  // namespace

std::shared_ptr<UNet> MakeUNet(const UNetConfig& config) {
  Validate(config);
  if (config.model_type == "SongUNet") return std::make_shared<SongUNet>(config);
  return std::make_shared<DhariwalUNet>(config);
}

}  // namespace gas::edm
