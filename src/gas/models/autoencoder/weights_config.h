// The sizes of an autoencoder as its weights show them.
#ifndef GAS_MODELS_AUTOENCODER_WEIGHTS_CONFIG_H_
#define GAS_MODELS_AUTOENCODER_WEIGHTS_CONFIG_H_

#include <string>

#include "gas/io/tensor_file.h"
#include "gas/models/autoencoder/autoencoder_config.h"

namespace gas::autoencoder {

// Of a kKl autoencoder without attention outside its middle, whose tensors begin with `prefix`. Throws
// Error(kBadFile) naming the tensor that is missing or has no such shape.
AutoencoderConfig KlConfigOfWeights(const TensorFile& file, const std::string& prefix);

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_WEIGHTS_CONFIG_H_
