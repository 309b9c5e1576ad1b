#include "gas/solver/sampler.h"

#include "gas/core/error.h"
#include "gas/solver/checkpoint.h"
#include "gas/solver/coefficients.h"

namespace gas {
namespace {

bool AnyRequiresGrad(const StepTable& table) {
  for (const Tensor& entry :
       {table.t_eval, table.alpha, table.sigma, table.alpha_eval, table.sigma_eval, table.a, table.b}) {
    if (entry.requires_grad()) return true;
  }
  return false;
}

Tensor BandOfFrequency(const StepTable& table, torch::Device device) {
  if (!table.spectral()) return {};
  return table.basis->BandOfFrequency().flatten().to(device, torch::kInt64, /*non_blocking=*/true);
}

// One run of a table. What rows combine are coordinates: states and data predictions, or, in a spectral
// table, their spectra.
class Run {
 public:
  Run(const StepTable& table, const Denoiser& denoiser, const Tensor& noise, const Condition& condition,
      const SampleOptions& options)
      : table_(table),
        denoiser_(denoiser),
        condition_(condition),
        options_(options),
        traced_(torch::GradMode::is_enabled() && (AnyRequiresGrad(table) || noise.requires_grad())),
        transform_(table.basis ? std::make_unique<SpectralTransform>(*table.basis, noise) : nullptr),
        a_(table.a, BandOfFrequency(table, noise.device()), traced_, noise),
        b_(table.b, BandOfFrequency(table, noise.device()), traced_, noise),
        x_(table.nfe()),
        m_(table.nfe()) {}

  // Row by row: m_n from x_n, then x_{n+1} = sum_{j<=n} A[n][j] x_j + sum_{j<=n} B[n][j] m_j.
  Tensor Sample(const Tensor& noise) {
    const torch::AutoGradMode mode(traced_);
    CheckInRange("prior_std of the table", Scalar(table_.prior_std), noise.scalar_type());
    WeighPredictions(noise);
    Tensor state = FirstState(noise);
    Tensor coordinates = Coordinates(state);
    for (int64_t n = 0; n < table_.nfe(); ++n) {
      if (options_.on_state) options_.on_state(n, state);
      const Tensor prediction = DataPrediction(n, state);
      if (options_.on_data_prediction) options_.on_data_prediction(n, prediction);
      x_[n] = coordinates;
      m_[n] = Coordinates(prediction);
      coordinates = traced_ ? NextTraced(n) : NextPlain(n);
      state = table_.spectral() ? transform_->Inverse(coordinates) : coordinates;
      Forget(n);
    }
    if (options_.on_state) options_.on_state(table_.nfe(), state);
    return state;
  }

 private:
  // x_0: the noise as wide as the schedule has it, or where the spectral start jumps to from there.
  Tensor FirstState(const Tensor& noise) const {
    const Tensor state = noise * table_.prior_std;
    if (!table_.start) return state;
    const Tensor gain = ToLike(table_.start->gain, noise), offset = ToLike(table_.start->offset, noise);
    return transform_->Inverse(gain * transform_->Forward(state) + offset);
  }

  // w_x and w_F of all evaluations at once: gradients that they carry return from the device together.
  void WeighPredictions(const Tensor& like) {
    const NoiseLevel at{table_.t_eval, table_.alpha_eval, table_.sigma_eval};
    const DataPredictionWeights w =
        DataPredictionOf(denoiser_.prediction_type(), at, table_.alpha, table_.sigma);
    const Tensor all = torch::stack({w.state, w.network});
    CheckInRange("weights of the network's output, from alpha and sigma of the table,", all,
                 like.scalar_type());
    if (all.requires_grad()) {
      traced_weights_ = ToLike(all, like);
      return;
    }
    const auto entry = all.accessor<double, 2>();
    for (int64_t n = 0; n < table_.nfe(); ++n) weights_.push_back({entry[0][n], entry[1][n]});
  }

  Tensor Coordinates(const Tensor& v) const { return table_.spectral() ? transform_->Forward(v) : v; }

  // m_n = w_x x_n + w_F F, where F is the network's output at the time it is to see (docs/math/step_table.md,
  // "From network to data prediction").
  Tensor DataPrediction(int64_t n, const Tensor& x) const {
    const NoiseLevel at{table_.t_eval[n], table_.alpha_eval[n], table_.sigma_eval[n]};
    const Tensor output = NetworkOutput(n, x, at);
    if (traced_weights_.defined()) return traced_weights_[1][n] * output + traced_weights_[0][n] * x;
    const auto [w_x, w_f] = weights_[n];
    const Tensor f = output.to(x.scalar_type());
    // Into one buffer of our own; f itself may be the network's, or kept by a hook.
    if (w_f == 1) return w_x == 0 ? f : f.add(x, w_x);
    Tensor m = f * w_f;
    if (w_x != 0) m.add_(x, w_x);
    return m;
  }

  Tensor NetworkOutput(int64_t n, const Tensor& x, const NoiseLevel& at) const {
    // The first evaluations are the last that the backward pass comes to: by then the kept ones are gone.
    const bool recompute = traced_ && n < options_.recomputed;
    const Tensor output = recompute ? PredictWithoutActivations(denoiser_, x, at, condition_)
                                    : denoiser_.Predict(x, at, condition_);
    GAS_CHECK(output.sizes() == x.sizes(), Errc::kInternal, "network output of shape ", output.sizes(),
              ", must be that of the state, ", x.sizes());
    return output;
  }

  // x_{n+1} in one new buffer, with one fused multiply-add per term.
  Tensor NextPlain(int64_t n) const {
    Tensor sum;
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.Uses(n, j)) a_.AddTo(sum, n, j, x_[j]);
      if (b_.Uses(n, j)) b_.AddTo(sum, n, j, m_[j]);
    }
    return sum.defined() ? sum : torch::zeros_like(x_[n]);
  }

  // x_{n+1} in the graph.
  Tensor NextTraced(int64_t n) const {
    Tensor sum;
    const auto add = [&](const Tensor& term) { sum = sum.defined() ? sum + term : term; };
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.Uses(n, j)) add(a_.Times(n, j, x_[j]));
      if (b_.Uses(n, j)) add(b_.Times(n, j, m_[j]));
    }
    return sum.defined() ? sum : torch::zeros_like(x_[n]);
  }

  // Releases what no row after n reads.
  void Forget(int64_t n) {
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.LastUse(j) <= n) x_[j].reset();
      if (b_.LastUse(j) <= n) m_[j].reset();
    }
  }

  const StepTable& table_;
  const Denoiser& denoiser_;
  const Condition& condition_;
  const SampleOptions& options_;
  const bool traced_;
  const std::unique_ptr<SpectralTransform> transform_;  // null without a basis
  const Coefficients a_, b_;
  struct Weights {
    double state, network;
  };
  std::vector<Weights> weights_;  // of the state and of the network's output in m_n
  Tensor traced_weights_;         // [2,N] instead, where they carry gradients
  std::vector<Tensor> x_, m_;     // coordinates; released ones are undefined
};

}  // namespace

Tensor RunTable(const StepTable& table, const Denoiser& denoiser, const Tensor& noise,
                const Condition& condition, const SampleOptions& options) {
  ValidateTable(table);
  GAS_CHECK(noise.defined() && noise.is_floating_point() && noise.dim() >= 1, Errc::kBadOption,
            "sampler: the noise must be a floating-point tensor [B, ...]");
  return Run(table, denoiser, noise, condition, options).Sample(noise);
}

}  // namespace gas
