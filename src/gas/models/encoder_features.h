// The inner activations of a frozen network, as distances and discriminators use them.
#ifndef GAS_MODELS_ENCODER_FEATURES_H_
#define GAS_MODELS_ENCODER_FEATURES_H_

#include <vector>

#include "gas/core/torch.h"
#include "gas/schedule/condition.h"

namespace gas {

class EncoderFeatures {
 public:
  virtual ~EncoderFeatures() = default;

  // The outputs of the encoder's stages, from full resolution down, [B,C_i,H_i,W_i] each, for clean states
  // [B,C,H,W] of the network's dtype and device. No noise is added; the network is told the noise level
  // `sigma` (standard deviation beside a signal of unit scale), raised to the lowest that it supports. Twice
  // differentiable in the states; the network's weights get no gradient.
  virtual std::vector<Tensor> Maps(const Tensor& states, double sigma, const Condition& condition) const = 0;

  virtual std::vector<int64_t> shape() const = 0;    // [C,H,W] of a state
  virtual double data_std() const = 0;               // standard deviation of clean states
  virtual torch::TensorOptions options() const = 0;  // dtype and device of the network
};

}  // namespace gas

#endif  // GAS_MODELS_ENCODER_FEATURES_H_
