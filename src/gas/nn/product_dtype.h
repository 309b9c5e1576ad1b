// The dtypes that a network's convolutions and matrix products may be computed in: which of them a device
// has, and whether they pay.
#ifndef GAS_NN_PRODUCT_DTYPE_H_
#define GAS_NN_PRODUCT_DTYPE_H_

#include <optional>
#include <string>

#include "gas/core/enum_names.h"
#include "gas/core/torch.h"

namespace gas::nn {

// As records and messages call them.
inline constexpr auto kProductDtypeNames = NamesOf<torch::Dtype>(
    "dtype", {{torch::kFloat32, "float32"}, {torch::kBFloat16, "bfloat16"}, {torch::kFloat16, "float16"}});

// Whether LibTorch can make convolutions of `dtype` on `device`, by making one. For bfloat16 on the CPU it
// asks oneDNN, by what the processor has, and a oneDNN that ONEDNN_MAX_CPU_ISA holds to lesser instructions
// has none; for float16 on the CPU LibTorch 1 has none at all.
bool HasConvolutions(torch::Dtype dtype, torch::Device device);

// Throws Error(kUnavailable) if it cannot.
void CheckProductDtype(torch::Dtype dtype, torch::Device device);

// A speed-up by less is not worth the rounding, and may be chance.
inline constexpr double kLeastSpeedUp = 1.1;

// "bfloat16 takes 1.61 times as long as float32 here"; nothing unless it is slower by a tenth at least.
// slow_down: the time in `dtype` by that in float32.
std::optional<std::string> SlowDtypeText(torch::Dtype dtype, double slow_down);

}  // namespace gas::nn

#endif  // GAS_NN_PRODUCT_DTYPE_H_
