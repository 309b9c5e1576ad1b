#include "gas/nn/convolution_plan.h"

#include <algorithm>
#include <map>

#include "gas/nn/layers.h"

namespace gas::nn {
namespace {

// A gain by less may be chance, and is not worth the memory.
constexpr double kLeastGain = 1.1;

// Products of one pair of channels.
double DirectProducts(const ConvolutionSize& s) { return 9.0 * static_cast<double>(s.height * s.width); }

double WinogradProducts(const ConvolutionSize& s, WinogradTile tile) {
  const auto m = static_cast<int64_t>(tile);
  const int64_t tiles = ((s.height + m - 1) / m) * ((s.width + m - 1) / m);
  return static_cast<double>(tiles * (m + 2) * (m + 2));
}

// What a layer costs by each algorithm, in whatever unit.
struct Costs {
  double direct = 0, two = 0, four = 0;
};

struct Candidate {
  size_t layer = 0;
  WinogradTile tile = WinogradTile::kFour;
  double saved = 0;
  int64_t bytes = 0;
};

int64_t BytesOf(const Tensor& weight, WinogradTile tile, bool input_gradients) {
  return WinogradBytes(weight, tile, Direction::kForward) +
         (input_gradients ? WinogradBytes(weight, tile, Direction::kInputGradient) : 0);
}

// Each layer once, at the largest size at which it is used.
std::vector<ConvolutionUse> DistinctLayers(const std::vector<ConvolutionUse>& uses) {
  std::vector<ConvolutionUse> layers;
  std::map<const Conv2dImpl*, size_t> index;
  for (const ConvolutionUse& use : uses) {
    const auto [found, is_new] = index.emplace(use.layer.get(), layers.size());
    if (is_new) {
      layers.push_back(use);
    } else if (ConvolutionUse& known = layers[found->second];
               use.height * use.width > known.height * known.width) {
      known = use;
    }
  }
  return layers;
}

bool IsEligible(const Conv2dImpl& layer, int64_t least_channels) {
  const Tensor& weight = layer.weight;
  return layer.CanFreeze() && weight.is_cpu() && weight.scalar_type() == torch::kFloat32 &&
         !weight.requires_grad() && weight.size(0) >= least_channels && weight.size(1) >= least_channels;
}

// Times, or the numbers of products.
Costs CostsOf(PlannedConvolution& planned, ConvolutionTimes* times) {
  if (times != nullptr) {
    planned.seconds = times->Of(planned.size);
    return {planned.seconds->direct, planned.seconds->two, planned.seconds->four};
  }
  const ConvolutionSize& s = planned.size;
  const double channels = static_cast<double>(s.in * s.out);
  return {channels * DirectProducts(s), channels * WinogradProducts(s, WinogradTile::kTwo),
          channels * WinogradProducts(s, WinogradTile::kFour)};
}

std::optional<Candidate> CandidateFor(size_t layer, const Tensor& weight, const Costs& costs,
                                      bool input_gradients) {
  const bool four = costs.four <= costs.two;
  const double best = four ? costs.four : costs.two;
  if (costs.direct < kLeastGain * best) return std::nullopt;
  const WinogradTile tile = four ? WinogradTile::kFour : WinogradTile::kTwo;
  return Candidate{layer, tile, costs.direct - best, BytesOf(weight, tile, input_gradients)};
}

}  // namespace

std::vector<PlannedConvolution> PlanConvolutions(const std::vector<ConvolutionUse>& uses,
                                                 const PlanOptions& options) {
  const std::vector<ConvolutionUse> layers = DistinctLayers(uses);
  std::optional<ConvolutionTimes> times;
  if (options.mode == ConvolutionMode::kAuto) times.emplace(options.times_file);
  std::vector<PlannedConvolution> plan;
  std::vector<Candidate> candidates;
  double bytes_left = 0;
  for (const ConvolutionUse& use : layers) {
    const Tensor& weight = use.layer->weight;
    bytes_left += options.most_copies * static_cast<double>(weight.numel() * sizeof(float));
    PlannedConvolution& planned = plan.emplace_back(
        PlannedConvolution{.size = {weight.size(1), weight.size(0), use.height, use.width}});
    planned.eligible = IsEligible(*use.layer, options.least_channels);
    if (!planned.eligible || options.mode == ConvolutionMode::kDirect) continue;
    const Costs costs = CostsOf(planned, times ? &*times : nullptr);
    const auto candidate = CandidateFor(plan.size() - 1, weight, costs, options.input_gradients);
    if (candidate) candidates.push_back(*candidate);
  }
  if (times) times->Save();
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.saved * static_cast<double>(b.bytes) > b.saved * static_cast<double>(a.bytes);
  });
  for (const Candidate& chosen : candidates) {
    const auto bytes = static_cast<double>(chosen.bytes);
    if (bytes > bytes_left) continue;
    bytes_left -= bytes;
    Conv2dImpl& layer = *layers[chosen.layer].layer;
    layer.Freeze(std::make_shared<FrozenConvolution>(layer.weight, chosen.tile, options.input_gradients));
    plan[chosen.layer].tile = chosen.tile;
  }
  return plan;
}

std::string PlanText(const std::vector<PlannedConvolution>& plan) {
  std::string text;
  for (const PlannedConvolution& planned : plan) {
    text += !planned.tile ? 'd' : *planned.tile == WinogradTile::kFour ? '4' : '2';
  }
  return text;
}

}  // namespace gas::nn
