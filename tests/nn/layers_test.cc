// Blocks and resampling convolutions against the reference, every case of the fixture.
#include "gas/nn/layers.h"

#include "gas/nn/flops.h"
#include "gas/nn/ops.h"
#include "gas/nn/state_dict.h"
#include "support/expect.h"
#include "support/networks.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::Fixture;

nn::UNetBlock BlockOf(const json& k) {
  nn::UNetBlockOptions o;
  o.in = k.at("in_channels");
  o.out = k.at("out_channels");
  o.embedding = k.at("emb_channels");
  o.up = k.value("up", false);
  o.down = k.value("down", false);
  o.heads = k.value("attention", false) ? k.value("num_heads", o.out / 64) : 0;
  o.skip_scale = k.value("skip_scale", 1.0);
  o.eps = k.value("eps", 1e-5);
  o.resample_filter = k.value("resample_filter", std::vector<double>{1, 1});
  o.resample_proj = k.value("resample_proj", false);
  o.adaptive_scale = k.value("adaptive_scale", true);
  return std::make_shared<nn::UNetBlockImpl>(o);
}

nn::Conv2dLayer ConvOf(const json& k) {
  return std::make_shared<nn::Conv2dImpl>(
      nn::Conv2dOptions{.in = k.at("in_channels"),
                        .out = k.at("out_channels"),
                        .kernel = k.at("kernel"),
                        .up = k.value("up", false),
                        .down = k.value("down", false),
                        .resample_filter = k.value("resample_filter", std::vector<double>{1, 1}),
                        .fused_resample = k.value("fused_resample", false)});
}

TEST(Layers, EveryCaseOfTheReference) {
  const Fixture fixture("edm_networks/unet_blocks");
  for (const json& c : fixture.cases()) {
    const std::string p = c.at("prefix").get<std::string>() + "/";
    SCOPED_TRACE(p);
    if (c.value("layer", "UNetBlock") == "Conv2d") {
      const auto conv = ConvOf(c.at("init_kwargs"));
      LoadStateDict(*conv, testing::TensorsBelow(fixture, p + "weights/"), p);
      EXPECT_TRUE(Close(conv->forward(fixture.at(p + "x")), fixture.at(p + "y"), 2e-5, 0));
      continue;
    }
    const auto block = BlockOf(c.at("init_kwargs"));
    LoadStateDict(*block, testing::TensorsBelow(fixture, p + "weights/"), p);
    block->eval();
    for (const bool wide : {false, true}) {
      const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
      const std::string suffix = wide ? "_f64" : "";
      block->to(dtype);
      const Tensor x = fixture.at(p + "x").to(dtype).clone().requires_grad_();
      const Tensor emb = fixture.at(p + "emb").to(dtype).clone().requires_grad_();
      const Tensor y = block->forward(x, emb);
      EXPECT_TRUE(Close(y, fixture.at(p + "y" + suffix), wide ? 1e-9 : 2e-5, 0));
      (y * fixture.at(p + "w").to(dtype)).sum().backward();
      EXPECT_TRUE(Close(x.grad(), fixture.at(p + "grad_x" + suffix), wide ? 1e-9 : 1e-4, 0));
      EXPECT_TRUE(Close(emb.grad(), fixture.at(p + "grad_emb" + suffix), wide ? 1e-9 : 1e-4, 0));
    }
  }
}

TEST(Resample, ConstantsStayConstantAndAdjointHolds) {
  torch::manual_seed(2);
  const Tensor box = nn::ResampleFilter({1, 1});
  const Tensor x = torch::randn({2, 3, 8, 8}, torch::kFloat64),
               y = torch::randn({2, 3, 4, 4}, torch::kFloat64);
  EXPECT_TRUE(Close(nn::Downsample2x(nn::Upsample2x(y, box, 0), box, 0), y, 1e-14, 0));
  // Upsampling is four times the adjoint of downsampling.
  const double left = (nn::Downsample2x(x, box, 0) * y).sum().item<double>();
  const double right = (x * nn::Upsample2x(y, box, 0)).sum().item<double>() / 4;
  EXPECT_NEAR(left, right, 1e-12);
}

// The definition of both, position by position: a plain convolution and its transpose with stride 2, four
// times f (x) f / sum(f)^2 where it doubles.
Tensor ResampledByDefinition(const Tensor& x, const std::vector<double>& taps, bool up) {
  const int64_t side = x.size(2), count = static_cast<int64_t>(taps.size()), pad = (count - 1) / 2;
  const int64_t result_side = up ? 2 * side : side / 2;
  double sum = 0;
  for (const double tap : taps) sum += tap;
  const Tensor y = torch::zeros({x.size(0), x.size(1), result_side, result_side}, x.options());
  using torch::indexing::Slice;
  const int64_t small = std::min(side, result_side), large = std::max(side, result_side);
  for (int64_t i = 0; i < small; ++i) {
    for (int64_t j = 0; j < small; ++j) {
      for (int64_t k = 0; k < count; ++k) {
        for (int64_t l = 0; l < count; ++l) {
          const int64_t row = 2 * i + k - pad, column = 2 * j + l - pad;  // in the larger image
          if (row < 0 || row >= large || column < 0 || column >= large) continue;
          const double weight = taps[k] * taps[l] / (sum * sum);
          if (up) {
            y.index({Slice(), Slice(), row, column}) += 4 * weight * x.index({Slice(), Slice(), i, j});
          } else {
            y.index({Slice(), Slice(), i, j}) += weight * x.index({Slice(), Slice(), row, column});
          }
        }
      }
    }
  }
  return y;
}

TEST(Resample, AnyFilterIsItsDefinition) {
  torch::manual_seed(4);
  const Tensor x = torch::randn({2, 3, 6, 6}, torch::kFloat64);
  for (const std::vector<double>& taps :
       {std::vector<double>{1, 1}, {2, 2}, {1, 3}, {3, 1}, {1, -0.25}, {1, 3, 3, 1}, {1, 2, 3, 5}}) {
    for (const bool up : {false, true}) {
      const auto layer = std::make_shared<nn::Conv2dImpl>(
          nn::Conv2dOptions{.in = 3, .out = 3, .kernel = 0, .up = up, .down = !up, .resample_filter = taps});
      layer->to(torch::kFloat64);
      // The filter itself is rounded to float32, as in the published networks.
      EXPECT_TRUE(Close(layer->forward(x), ResampledByDefinition(x, taps, up), 1e-6, 0))
          << at::ArrayRef<double>(taps) << (up ? " up" : " down");
    }
  }
}

TEST(Resample, FiltersThatAreNoneAreRefused) {
  EXPECT_ERROR(nn::ResampleFilter({}), Errc::kBadOption, "resample_filter: 0 taps, must be in [1, 64]");
  EXPECT_ERROR(nn::ResampleFilter({1, -1}), Errc::kBadOption,
               "resample_filter: the taps add up to 0, must be finite and not 0");
}

TEST(FlopCounter, CountsAMultiplyAddAsTwo) {
  const nn::FlopCounter counter;
  nn::Conv2d(torch::zeros({2, 3, 8, 8}), torch::zeros({5, 3, 3, 3}), {}, 1);
  nn::FullyConnected(torch::zeros({7, 4}), torch::zeros({6, 4}), {});
  EXPECT_EQ(counter.flops(), 2.0 * 2 * 5 * 64 * 27 + 2.0 * 7 * 6 * 4);
}

TEST(FlopCounter, AnInnerOneLeavesTheOuterCounting) {
  const nn::FlopCounter outer;
  const auto product = [] { nn::FullyConnected(torch::zeros({7, 4}), torch::zeros({6, 4}), {}); };
  {
    const nn::FlopCounter inner;
    product();
    EXPECT_EQ(inner.flops(), 2.0 * 7 * 6 * 4);
  }
  product();
  EXPECT_EQ(outer.flops(), 2 * 2.0 * 7 * 6 * 4);
}

// On CPUs this is the fast layout, and images follow that of the weights.
TEST(StateDictionary, UseChannelsLastLaysImagesWeightsOut) {
  const auto conv = std::make_shared<nn::Conv2dImpl>(nn::Conv2dOptions{.in = 3, .out = 5});
  const Tensor before = conv->weight.clone();
  UseChannelsLast(*conv);
  EXPECT_TRUE(conv->weight.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_FALSE(conv->weight.is_contiguous());
  EXPECT_TRUE(conv->weight.equal(before));
}

}  // namespace
}  // namespace gas
