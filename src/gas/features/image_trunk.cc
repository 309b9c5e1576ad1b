#include "gas/features/image_trunk.h"

#include "gas/core/error.h"
#include "gas/nn/ops.h"

namespace gas {
namespace {

// A row of an architecture. `index` is the layer's place in torchvision's `features`; the rectifier of a
// convolution has the next one, and no parameters.
struct Layer {
  enum class Kind { kConv, kFire, kPool } kind;
  int64_t index;
  int64_t out = 0, kernel = 3, stride = 1, padding = 1;
  int64_t squeeze = 0;     // kFire: channels between; `out` is half of what comes out
  bool ceil_mode = false;  // kPool: a window may hang over the edge
  bool tap = false;
};

constexpr Layer Conv(int64_t index, int64_t out, bool tap = false) {
  return {.kind = Layer::Kind::kConv, .index = index, .out = out, .tap = tap};
}
constexpr Layer Fire(int64_t index, int64_t squeeze, int64_t expand, bool tap = false) {
  return {.kind = Layer::Kind::kFire, .index = index, .out = expand, .squeeze = squeeze, .tap = tap};
}
constexpr Layer Pool(int64_t index, int64_t kernel, bool ceil_mode) {
  return {.kind = Layer::Kind::kPool,
          .index = index,
          .kernel = kernel,
          .stride = 2,
          .padding = 0,
          .ceil_mode = ceil_mode};
}

std::vector<Layer> Vgg16() {
  return {Conv(0, 64),       Conv(2, 64, true),  Pool(4, 2, false),   Conv(5, 128),        Conv(7, 128, true),
          Pool(9, 2, false), Conv(10, 256),      Conv(12, 256),       Conv(14, 256, true), Pool(16, 2, false),
          Conv(17, 512),     Conv(19, 512),      Conv(21, 512, true), Pool(23, 2, false),  Conv(24, 512),
          Conv(26, 512),     Conv(28, 512, true)};
}

std::vector<Layer> AlexNet() {
  Layer first = Conv(0, 64, true), second = Conv(3, 192, true);
  first.kernel = 11;
  first.stride = 4;
  first.padding = 2;
  second.kernel = 5;
  second.padding = 2;
  return {first,
          Pool(2, 3, false),
          second,
          Pool(5, 3, false),
          Conv(6, 384, true),
          Conv(8, 256, true),
          Conv(10, 256, true)};
}

std::vector<Layer> SqueezeNet() {
  Layer first = Conv(0, 64, true);
  first.stride = 2;
  first.padding = 0;
  return {first,
          Pool(2, 3, true),
          Fire(3, 16, 64),
          Fire(4, 16, 64, true),
          Pool(5, 3, true),
          Fire(6, 32, 128),
          Fire(7, 32, 128, true),
          Pool(8, 3, true),
          Fire(9, 48, 192, true),
          Fire(10, 48, 192, true),
          Fire(11, 64, 256, true),
          Fire(12, 64, 256, true)};
}

std::vector<Layer> LayersOf(TrunkKind kind) {
  switch (kind) {
    case TrunkKind::kVgg16: return Vgg16();
    case TrunkKind::kAlexNet: return AlexNet();
    case TrunkKind::kSqueezeNet: return SqueezeNet();
  }
  GAS_ASSERT(false);
}

struct RectifiedConv : torch::nn::Module {
  RectifiedConv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding)
      : stride(stride), padding(padding) {
    weight = register_parameter("weight", torch::zeros({out, in, kernel, kernel}), /*requires_grad=*/false);
    bias = register_parameter("bias", torch::zeros({out}), /*requires_grad=*/false);
  }
  Tensor forward(const Tensor& x) { return nn::Conv2d(x, weight, bias, padding, stride).relu_(); }

  Tensor weight, bias;
  int64_t stride, padding;
};

struct FireModule : torch::nn::Module {
  FireModule(int64_t in, int64_t between, int64_t expand)
      : squeeze(register_module("squeeze", std::make_shared<RectifiedConv>(in, between, 1, 1, 0))),
        expand1x1(register_module("expand1x1", std::make_shared<RectifiedConv>(between, expand, 1, 1, 0))),
        expand3x3(register_module("expand3x3", std::make_shared<RectifiedConv>(between, expand, 3, 1, 1))) {}
  Tensor forward(const Tensor& x) {
    const Tensor y = squeeze->forward(x);
    return torch::cat({expand1x1->forward(y), expand3x3->forward(y)}, 1);
  }

  std::shared_ptr<RectifiedConv> squeeze, expand1x1, expand3x3;
};

Tensor MaxPool(const Layer& layer, const Tensor& x) {
  const int64_t least = layer.ceil_mode ? 1 : layer.kernel;
  GAS_CHECK(x.size(2) >= least && x.size(3) >= least, Errc::kBadOption, "lpips: images are too small, ",
            x.size(2), "x", x.size(3), " is left of them before a pooling window of ", layer.kernel,
            "; resize them to 224 first");
  return torch::max_pool2d(x, layer.kernel, layer.stride, /*padding=*/0, /*dilation=*/1, layer.ceil_mode);
}

}  // namespace

struct ImageTrunk::Stage {
  Layer layer;
  std::shared_ptr<RectifiedConv> conv;
  std::shared_ptr<FireModule> fire;

  Tensor forward(const Tensor& x) {
    if (conv) return conv->forward(x);
    return fire ? fire->forward(x) : MaxPool(layer, x);
  }
};

ImageTrunk::ImageTrunk(TrunkKind kind) : kind_(kind) {
  const auto features = register_module("features", std::make_shared<torch::nn::Module>());
  int64_t channels = 3;
  for (const Layer& l : LayersOf(kind)) {
    auto stage = std::make_unique<Stage>(Stage{l, nullptr, nullptr});
    const std::string name = std::to_string(l.index);
    if (l.kind == Layer::Kind::kConv) {
      stage->conv = features->register_module(
          name, std::make_shared<RectifiedConv>(channels, l.out, l.kernel, l.stride, l.padding));
      channels = l.out;
    } else if (l.kind == Layer::Kind::kFire) {
      stage->fire = features->register_module(name, std::make_shared<FireModule>(channels, l.squeeze, l.out));
      channels = 2 * l.out;
    }
    if (l.tap) tap_channels_.push_back(channels);
    stages_.push_back(std::move(stage));
  }
}

ImageTrunk::~ImageTrunk() = default;

std::vector<Tensor> ImageTrunk::forward(const Tensor& images) {
  std::vector<Tensor> taps;
  Tensor x = images.contiguous(torch::MemoryFormat::ChannelsLast);
  for (const auto& stage : stages_) {
    x = stage->forward(x);
    if (stage->layer.tap) taps.push_back(x);
  }
  return taps;
}

}  // namespace gas
