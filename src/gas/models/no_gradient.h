// Networks that give no derivative: those of other processes, and compiled ones.
#ifndef GAS_MODELS_NO_GRADIENT_H_
#define GAS_MODELS_NO_GRADIENT_H_

#include <string>

#include "gas/schedule/denoiser.h"

namespace gas {

// What is said to one who asks for a derivative of the network of the model `name`.
std::string NoGradientText(const std::string& name);

// Throws Error(kBadOption) with that text if the state or the level asks for a gradient, even where none is
// recorded: the training of a solver, which passes through a network without recording first, must fail then
// and not in its backward pass.
void CheckNoGradientAsked(const std::string& name, const Tensor& x, const NoiseLevel& at);

}  // namespace gas

#endif  // GAS_MODELS_NO_GRADIENT_H_
