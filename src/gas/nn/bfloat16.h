// Whether bfloat16 can be computed at all, and whether it pays.
#ifndef GAS_NN_BFLOAT16_H_
#define GAS_NN_BFLOAT16_H_

#include <optional>
#include <string>

#include "gas/core/torch.h"

namespace gas::nn {

// Whether LibTorch can make bfloat16 convolutions on `device`. It asks oneDNN for them by what the processor
// has, and a oneDNN that ONEDNN_MAX_CPU_ISA holds to lesser instructions has none.
bool HasBfloat16Convolutions(torch::Device device);

// Throws Error(kUnavailable) if it cannot.
void CheckBfloat16(torch::Device device);

// A speed-up by less is not worth the rounding, and may be chance.
inline constexpr double kLeastSpeedUp = 1.1;

// "bfloat16 takes 1.61 times as long as float32 here"; nothing unless it is slower by a tenth at least.
// slow_down: the time in bfloat16 by that in float32.
std::optional<std::string> SlowBfloat16Text(double slow_down);

}  // namespace gas::nn

#endif  // GAS_NN_BFLOAT16_H_
