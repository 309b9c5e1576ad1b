#include "gas/nn/convolution_plan.h"

#include <algorithm>
#include <map>

#include "gas/nn/layers.h"
#include "gas/nn/packed_convolution.h"

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

// Bytes of weights that a thread lays out anew in a second, at least: what packing saves where it is not
// measured.
constexpr double kLaidOutBytes = 4e9;

// What a layer costs in each way, in whatever unit.
struct Costs {
  double direct = 0, two = 0, four = 0, packed = 0;
};

// One way other than direct to compute a layer.
struct Candidate {
  size_t layer = 0;
  std::optional<WinogradTile> tile;  // none: direct with packed weights
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

bool IsFrozen(const Conv2dImpl& layer) {
  const Tensor& weight = layer.weight;
  return weight.is_cpu() && weight.scalar_type() == torch::kFloat32 && !weight.requires_grad();
}

bool IsEligible(const Conv2dImpl& layer, const PlanOptions& options) {
  const Tensor& weight = layer.weight;
  return options.dtype == torch::kFloat32 && IsFrozen(layer) && layer.CanFreeze() &&
         weight.size(0) >= options.least_channels && weight.size(1) >= options.least_channels;
}

// Times, or the numbers of products.
Costs CostsOf(PlannedConvolution& planned, ConvolutionTimes* times) {
  if (times != nullptr) {
    planned.seconds = times->Of(planned.size);
    return {planned.seconds->direct, planned.seconds->two, planned.seconds->four, planned.seconds->packed};
  }
  const ConvolutionSize& s = planned.size;
  const double channels = static_cast<double>(s.in * s.out), direct = channels * DirectProducts(s);
  return {direct, channels * WinogradProducts(s, WinogradTile::kTwo),
          channels * WinogradProducts(s, WinogradTile::kFour), direct};
}

std::optional<Candidate> WinogradFor(size_t layer, const Tensor& weight, const Costs& costs,
                                     bool input_gradients) {
  const bool four = costs.four <= costs.two;
  const double best = four ? costs.four : costs.two;
  if (std::min(costs.direct, costs.packed) < kLeastGain * best) return std::nullopt;
  const WinogradTile tile = four ? WinogradTile::kFour : WinogradTile::kTwo;
  return Candidate{layer, tile, costs.direct - best, BytesOf(weight, tile, input_gradients)};
}

// Where times are known, only if they say so.
std::optional<Candidate> PackedFor(size_t layer, const Tensor& weight, const PlannedConvolution& planned,
                                   const PlanOptions& options) {
  const int64_t once = weight.numel() * static_cast<int64_t>(c10::elementSize(options.dtype));
  Candidate packed{layer, std::nullopt, static_cast<double>(once) / kLaidOutBytes,
                   options.input_gradients ? 2 * once : once};
  if (planned.seconds) {
    packed.saved = planned.seconds->direct - planned.seconds->packed;
    if (planned.seconds->direct < kLeastGain * planned.seconds->packed) return std::nullopt;
  }
  return packed;
}

// Of one layer's candidates at most one, those that save most for their bytes first. A layer whose weights
// are packed gives that up for Winograd's algorithm if there is room.
std::vector<std::optional<Candidate>> Chosen(std::vector<Candidate> candidates, size_t layers,
                                             double bytes_left) {
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.saved * static_cast<double>(b.bytes) > b.saved * static_cast<double>(a.bytes);
  });
  std::vector<std::optional<Candidate>> chosen(layers);
  for (const Candidate& candidate : candidates) {
    std::optional<Candidate>& now = chosen[candidate.layer];
    if (now && now->saved >= candidate.saved) continue;
    const auto more = static_cast<double>(candidate.bytes - (now ? now->bytes : 0));
    if (more > bytes_left) continue;
    bytes_left -= more;
    now = candidate;
  }
  return chosen;
}

void Freeze(Conv2dImpl& layer, const Candidate& chosen, const ConvolutionSize& size,
            const PlanOptions& options) {
  if (chosen.tile) {
    layer.Freeze(std::make_shared<FrozenConvolution>(layer.weight, *chosen.tile, options.input_gradients));
    return;
  }
  const int64_t stride = layer.stride();
  layer.Freeze(
      std::make_shared<FrozenConvolution>(layer.weight, Packing{.padding = layer.weight.size(2) / 2,
                                                                .stride = stride,
                                                                .dtype = options.dtype,
                                                                .height = size.height * stride,
                                                                .width = size.width * stride,
                                                                .input_gradient = options.input_gradients}));
}

}  // namespace

std::vector<PlannedConvolution> PlanConvolutions(const std::vector<ConvolutionUse>& uses,
                                                 const PlanOptions& options) {
  const std::vector<ConvolutionUse> layers = DistinctLayers(uses);
  const bool measured = options.mode == ConvolutionMode::kAuto, packs = measured && CanPackWeights();
  std::optional<ConvolutionTimes> times;
  if (measured) times.emplace(options.times_file);
  std::vector<PlannedConvolution> plan;
  std::vector<Candidate> candidates;
  double bytes_left = 0;
  for (const ConvolutionUse& use : layers) {
    const Tensor& weight = use.layer->weight;
    const size_t layer = plan.size();
    bytes_left += options.most_copies * static_cast<double>(weight.numel() * sizeof(float));
    PlannedConvolution& planned = plan.emplace_back(
        PlannedConvolution{.size = {weight.size(1), weight.size(0), use.height, use.width}});
    planned.eligible = IsEligible(*use.layer, options);
    const auto add = [&](const std::optional<Candidate>& candidate) {
      if (candidate) candidates.push_back(*candidate);
    };
    if (planned.eligible && options.mode != ConvolutionMode::kDirect) {
      const Costs costs = CostsOf(planned, times ? &*times : nullptr);
      add(WinogradFor(layer, weight, costs, options.input_gradients));
    }
    if (packs && IsFrozen(*use.layer) && use.layer->IsPlain())
      add(PackedFor(layer, weight, planned, options));
  }
  if (times) times->Save();
  const auto chosen = Chosen(std::move(candidates), layers.size(), bytes_left);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!chosen[i]) continue;
    Freeze(*layers[i].layer, *chosen[i], plan[i].size, options);
    plan[i].tile = chosen[i]->tile;
    plan[i].packed = !chosen[i]->tile;
  }
  return plan;
}

std::string PlanText(const std::vector<PlannedConvolution>& plan) {
  std::string text;
  for (const PlannedConvolution& planned : plan) {
    const char direct = planned.packed ? 'p' : 'd';
    text += !planned.tile ? direct : *planned.tile == WinogradTile::kFour ? '4' : '2';
  }
  return text;
}

}  // namespace gas::nn
