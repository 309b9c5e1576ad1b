#include "gas/models/r3gan/discriminator.h"

#include "gas/core/error.h"
#include "gas/models/class_labels.h"
#include "gas/nn/ops.h"
#include "gas/nn/state_dict.h"

namespace gas::r3gan {
namespace {

using Module = torch::nn::Module;

constexpr double kSlope = 0.2;

// The weight "MODULE.weight", drawn from N(0, (gain / sqrt(fan_in))^2).
Tensor AddWeight(Module& parent, const std::string& module, at::IntArrayRef shape, double gain) {
  const double fan_in = static_cast<double>(c10::multiply_integers(shape.slice(1)));
  const Tensor weight =
      gain == 0 ? torch::zeros(shape) : torch::empty(shape).normal_(0, gain / std::sqrt(fan_in));
  return parent.register_module(module, std::make_shared<Module>())->register_parameter("weight", weight);
}

// The published names of a convolution's weight have "Layer" below the convolution's own.
Tensor AddConvolution(Module& parent, const std::string& name, at::IntArrayRef shape, double gain) {
  return AddWeight(*parent.register_module(name, std::make_shared<Module>()), "Layer", shape, gain);
}

Tensor AddBias(Module& parent, const std::string& name, int64_t channels) {
  return parent.register_module(name, std::make_shared<Module>())
      ->register_parameter("Bias", torch::zeros({channels}));
}

Tensor Convolve(const Tensor& x, const Tensor& weight, int64_t groups = 1) {
  return nn::Conv2d(x, weight.to(x.scalar_type()), {}, weight.size(2) / 2, /*stride=*/1, groups);
}

// x + 1x1(act(grouped 3x3(act(1x1(x))))), without normalisation. The last convolution starts at zero, so that
// a fresh network is its own skip path; the others are scaled down by the number of blocks (fix-up, Zhang et
// al. 2019), and up by what a leaky ReLU takes from the variance.
class ResidualBlock : public Module {
 public:
  ResidualBlock(int64_t width, int64_t inner, int64_t groups, int64_t blocks_in_network) : groups_(groups) {
    const double depth = std::pow(static_cast<double>(blocks_in_network), -0.25);
    const double gain = std::sqrt(2.0 / (1.0 + kSlope * kSlope)) * depth;
    weights_[0] = AddConvolution(*this, "LinearLayer1", {inner, width, 1, 1}, gain);
    weights_[1] = AddConvolution(*this, "LinearLayer2", {inner, inner / groups, 3, 3}, gain);
    weights_[2] = AddConvolution(*this, "LinearLayer3", {width, inner, 1, 1}, 0.0);
    biases_[0] = AddBias(*this, "NonLinearity1", inner);
    biases_[1] = AddBias(*this, "NonLinearity2", inner);
  }

  Tensor forward(const Tensor& x) {
    const Tensor y = nn::BiasedLeakyRelu(Convolve(x, weights_[0]), biases_[0], kSlope);
    return x +
           Convolve(nn::BiasedLeakyRelu(Convolve(y, weights_[1], groups_), biases_[1], kSlope), weights_[2]);
  }

 private:
  int64_t groups_;
  std::array<Tensor, 3> weights_;
  std::array<Tensor, 2> biases_;
};

// Halves the resolution with a low-pass filter, then changes the number of channels if it differs.
class Downsample : public Module {
 public:
  Downsample(int64_t in, int64_t out) {
    kernel_ = register_module("Resampler", std::make_shared<Module>())
                  ->register_buffer("Kernel", LowPassKernel({1, 2, 1}));
    if (in != out) weight_ = AddConvolution(*this, "LinearLayer", {out, in, 1, 1}, 1.0);
  }

  Tensor forward(const Tensor& x) {
    const Tensor y = nn::Downsample2x(x, kernel_.unsqueeze(0).unsqueeze(0), /*padding=*/1);
    return weight_.defined() ? Convolve(y, weight_) : y;
  }

 private:
  Tensor kernel_, weight_;
};

// One learned pattern per channel over all positions that remain, then a linear map: [B,C,r,r] ->
// [B,outputs].
class Basis : public Module {
 public:
  Basis(int64_t channels, int64_t side, int64_t outputs) {
    pattern_ = AddWeight(*this, "Basis", {channels, 1, side, side}, 1.0);
    weight_ = AddWeight(*this, "LinearLayer", {outputs, channels}, 1.0);
  }

  Tensor forward(const Tensor& x) {
    const Tensor found = (x * pattern_.squeeze(1).to(x.scalar_type())).sum({2, 3});
    return nn::FullyConnected(found, weight_.to(x.scalar_type()), {});
  }

 private:
  Tensor pattern_, weight_;
};

}  // namespace

class R3ganDiscriminator::Stage : public Module {
 public:
  Stage(const Config& c, int64_t index, int64_t blocks_in_network) {
    const int64_t width = c.widths[index], block_count = c.blocks[index];
    const auto layers = register_module("Layers", std::make_shared<Module>());
    for (int64_t i = 0; i < block_count; ++i) {
      blocks_.push_back(layers->register_module(
          std::to_string(i), std::make_shared<ResidualBlock>(width, width * c.expansion,
                                                             c.cardinalities[index], blocks_in_network)));
    }
    const std::string last = std::to_string(block_count);
    if (index + 1 < c.stages()) {
      downsample_ = layers->register_module(last, std::make_shared<Downsample>(width, c.widths[index + 1]));
    } else {
      basis_ =
          layers->register_module(last, std::make_shared<Basis>(width, c.ResolutionOf(index), c.outputs));
    }
  }

  Tensor forward(Tensor x) {
    for (const auto& block : blocks_) x = block->forward(x);
    return downsample_ ? downsample_->forward(x) : basis_->forward(x);
  }

 private:
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
  std::shared_ptr<Downsample> downsample_;
  std::shared_ptr<Basis> basis_;
};

Tensor LowPassKernel(const std::vector<double>& filter) {
  std::vector<double> taps(filter.size() + 1, 0.0);
  for (size_t i = 0; i < filter.size(); ++i) {
    taps[i] += filter[i];
    taps[i + 1] += filter[i];
  }
  return nn::ResampleFilter(taps).squeeze(0).squeeze(0);
}

R3ganDiscriminator::R3ganDiscriminator(const Config& config) : config_(config) {
  Validate(config);
  int64_t blocks = 0;
  for (const int64_t count : config.blocks) blocks += count;
  extraction_ = AddConvolution(*this, "ExtractionLayer", {config.widths[0], config.channels, 1, 1}, 1.0);
  const auto main = register_module("MainLayers", std::make_shared<Module>());
  for (int64_t i = 0; i < config.stages(); ++i) {
    stages_.push_back(main->register_module(std::to_string(i), std::make_shared<Stage>(config, i, blocks)));
  }
  if (config.classes > 0) {
    embedding_ = AddWeight(*this, "EmbeddingLayer", {config.outputs, config.classes},
                           1.0 / std::sqrt(static_cast<double>(config.outputs)));
  }
  UseChannelsLast(*this);
}

Tensor R3ganDiscriminator::forward(const Tensor& images, const Tensor& labels) {
  const int64_t side = config_.resolution;
  GAS_CHECK(images.dim() == 4 && images.size(1) == config_.channels && images.size(2) == side &&
                images.size(3) == side,
            Errc::kBadOption, "discriminator input of shape ", images.sizes(), ", must be [B, ",
            config_.channels, ", ", side, ", ", side, "]");
  const auto& narrow = config_.bfloat16_stages;
  const auto dtype_of = [&](int64_t stage) {
    return std::find(narrow.begin(), narrow.end(), stage) != narrow.end() ? torch::kBFloat16
                                                                          : images.scalar_type();
  };
  // The layout of the weights; images of one channel do not show theirs, so it begins here.
  Tensor x = Convolve(images.to(dtype_of(0)), extraction_).contiguous(torch::MemoryFormat::ChannelsLast);
  for (int64_t i = 0; i < config_.stages(); ++i) x = stages_[i]->forward(x.to(dtype_of(i)));
  x = x.to(images.scalar_type());
  if (!embedding_.defined() || !labels.defined()) return x.sum(1);
  return (x * EmbeddingOf(labels).to(x.scalar_type())).sum(1);
}

Tensor R3ganDiscriminator::EmbeddingOf(const Tensor& labels) const {
  CheckClassLabels("discriminator: ", labels, -1, config_.classes);
  const Tensor classes = labels.to(embedding_.device());
  const Tensor rows = embedding_.t().index_select(0, classes.clamp_min(0));  // [B,outputs]
  return torch::where((classes >= 0).unsqueeze(1), rows, torch::ones_like(rows));
}

}  // namespace gas::r3gan
