// Whether bfloat16 can be computed at all.
#ifndef GAS_NN_BFLOAT16_H_
#define GAS_NN_BFLOAT16_H_

#include "gas/core/torch.h"

namespace gas::nn {

// Whether LibTorch can make bfloat16 convolutions on `device`. It asks oneDNN for them by what the processor
// has, and a oneDNN that ONEDNN_MAX_CPU_ISA holds to lesser instructions has none.
bool HasBfloat16Convolutions(torch::Device device);

// Throws Error(kUnavailable) if it cannot.
void CheckBfloat16(torch::Device device);

}  // namespace gas::nn

#endif  // GAS_NN_BFLOAT16_H_
