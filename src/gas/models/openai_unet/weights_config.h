// The sizes of a U-Net as its weights show them.
#ifndef GAS_MODELS_OPENAI_UNET_WEIGHTS_CONFIG_H_
#define GAS_MODELS_OPENAI_UNET_WEIGHTS_CONFIG_H_

#include <string>

#include "gas/io/tensor_file.h"
#include "gas/models/openai_unet/config.h"

namespace gas::openai_unet {

// The sizes that show in names and shapes of the tensors that begin with `prefix`. num_heads,
// num_head_channels and the order of attention's channels do not. Throws Error(kBadFile) naming the tensor
// that is missing or has no such shape.
UNetConfig ConfigOfWeights(const TensorFile& weights, const std::string& prefix = "");

}  // namespace gas::openai_unet

#endif  // GAS_MODELS_OPENAI_UNET_WEIGHTS_CONFIG_H_
