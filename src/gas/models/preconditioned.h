// Networks that predict the data behind a preconditioning (Karras et al. 2022, table 1):
// D(z; sigma) = c_skip z + c_out F(c_in z; c_noise).
#ifndef GAS_MODELS_PRECONDITIONED_H_
#define GAS_MODELS_PRECONDITIONED_H_

#include "gas/models/batch_parallel.h"
#include "gas/schedule/denoiser.h"

namespace gas {

// c_skip, c_out, c_in, c_noise, each of sigma's shape and dtype.
struct PrecondScales {
  Tensor skip, out, in, noise;
};

// EDM's column of the table: for data of standard deviation sigma_data, with c_noise = ln(sigma) / 4.
PrecondScales EdmScales(const Tensor& sigma, double sigma_data);

// D(x / alpha; sigma / alpha) for states x [B,C,H,W] at `at`, with `scales` at sigma / alpha, float64
// scalars: the prediction of a Denoiser of type kData. `raw` is the network F of images c_in z and c_noise.
Tensor PreconditionedPrediction(const Tensor& x, const NoiseLevel& at, const PrecondScales& scales,
                                torch::Dtype dtype, const BatchFunction& raw);

}  // namespace gas

#endif  // GAS_MODELS_PRECONDITIONED_H_
