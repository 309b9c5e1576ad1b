// Which algorithm each convolution of a frozen network is computed by.
#ifndef GAS_NN_CONVOLUTION_PLAN_H_
#define GAS_NN_CONVOLUTION_PLAN_H_

#include <optional>
#include <string>
#include <vector>

#include "gas/core/enum_names.h"
#include "gas/nn/convolution_times.h"
#include "gas/nn/convolution_uses.h"
#include "gas/nn/winograd.h"

namespace gas::nn {

enum class ConvolutionMode { kDirect, kWinograd, kAuto };

inline constexpr auto kConvolutionNames = NamesOf<ConvolutionMode>(
    "run.convolution", {{ConvolutionMode::kDirect, "direct", "LibTorch's"},
                        {ConvolutionMode::kWinograd, "winograd", "wherever it saves products"},
                        {ConvolutionMode::kAuto, "auto", "what is faster on this machine"}});

// Without kAuto, whose choice depends on a measurement.
inline constexpr auto kRepeatableConvolutionNames = NamesOf<ConvolutionMode>(
    "run.convolution", {{ConvolutionMode::kDirect, "direct", "LibTorch's"},
                        {ConvolutionMode::kWinograd, "winograd", "wherever it saves products"}});

// Copies of weights take at most so many times the weights of all convolutions.
inline constexpr double kMostCopies = 2.5;

struct PlanOptions {
  ConvolutionMode mode = ConvolutionMode::kDirect;
  torch::Dtype dtype = torch::kFloat32;  // of the products; in another, kAuto packs weights and no more
  bool input_gradients = false;          // copies for them too, which take as much again
  double most_copies = kMostCopies;
  // Narrower layers take little time, and blocks of their products would be half empty.
  int64_t least_channels = 16;
  // Where kAuto has its times from; not used otherwise.
  std::filesystem::path times_file = {};
};

// One layer, with what was chosen for it.
struct PlannedConvolution {
  ConvolutionSize size;
  bool eligible = false;                      // whether Winograd's algorithm can be used
  std::optional<WinogradTile> tile;           // none: direct
  bool packed = false;                        // direct, with its weights packed (nn/packed_convolution.h)
  std::optional<ConvolutionSeconds> seconds;  // kAuto: for one image
};

// Chooses for the layers in the order of their first use, transforms the weights and has the layers use them
// from now on. Those whose copies save most for their bytes come first, and the choice depends on times only
// for kAuto.
std::vector<PlannedConvolution> PlanConvolutions(const std::vector<ConvolutionUse>& uses,
                                                 const PlanOptions& options);

// One letter for each layer: d direct, p direct with packed weights, 2 and 4 the tiles of Winograd's
// algorithm. What decides the rounding of a network's output.
std::string PlanText(const std::vector<PlannedConvolution>& plan);

}  // namespace gas::nn

#endif  // GAS_NN_CONVOLUTION_PLAN_H_
