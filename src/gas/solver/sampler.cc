#include "gas/solver/sampler.h"

#include "gas/core/error.h"
#include "gas/solver/checkpoint.h"

namespace gas {
namespace {

bool AnyRequiresGrad(const StepTable& table) {
  for (const Tensor& entry :
       {table.t_eval, table.alpha, table.sigma, table.alpha_eval, table.sigma_eval, table.a, table.b}) {
    if (entry.requires_grad()) return true;
  }
  return false;
}

// Coefficients of a table, read by the sampler entry by entry.
class Coefficients {
 public:
  // matrix [N,N] or [N,N,C,K] float64; band [H*W] int64 of a spectral one. With `traced`, entries enter the
  // graph, in the type and on the device of `like`.
  Coefficients(const Tensor& matrix, const Tensor& band, bool traced, const Tensor& like)
      : values_(matrix.detach().contiguous()), band_(band), size_(matrix.size(0)) {
    const bool graph = traced && matrix.requires_grad();
    if (graph || spectral())
      cast_ = (graph ? matrix : values_).to(like.options().requires_grad(c10::nullopt));
    traced_ = graph;
    if (spectral()) spatial_ = like.sizes().slice(1).vec();
    const Tensor zero = values_.reshape({size_, size_, -1}).eq(0).all(2).contiguous();
    is_zero_.assign(zero.data_ptr<bool>(), zero.data_ptr<bool>() + zero.numel());
    for (int64_t j = 0; j < size_; ++j) {
      last_use_.push_back(j);
      for (int64_t n = size_ - 1; n > j && last_use_[j] == j; --n) {
        if (Uses(n, j)) last_use_[j] = n;
      }
    }
  }

  // A trained entry counts although its value is zero now: it has a gradient.
  bool Uses(int64_t n, int64_t j) const { return traced_ || !is_zero_[n * size_ + j]; }
  // The entry times v, in the graph.
  Tensor Times(int64_t n, int64_t j, const Tensor& v) const {
    if (spectral()) return Map(n, j) * v;
    return traced_ ? cast_[n][j] * v : Value(n, j) * v;
  }
  // sum += the entry times v; an undefined sum begins here.
  void AddTo(Tensor& sum, int64_t n, int64_t j, const Tensor& v) const {
    if (!sum.defined()) {
      sum = Times(n, j, v);
    } else if (spectral()) {
      sum.addcmul_(Map(n, j), v);
    } else {
      sum.add_(v, Value(n, j));
    }
  }
  // The last row that reads v_j, or j itself.
  int64_t LastUse(int64_t j) const { return last_use_[j]; }

 private:
  bool spectral() const { return values_.dim() == 4; }
  double Value(int64_t n, int64_t j) const { return values_.data_ptr<double>()[n * size_ + j]; }
  // A coefficient for each frequency [C,H,W].
  Tensor Map(int64_t n, int64_t j) const { return cast_[n][j].index_select(1, band_).view(spatial_); }

  Tensor values_, cast_, band_;
  std::vector<bool> is_zero_;
  std::vector<int64_t> spatial_;
  bool traced_ = false;
  int64_t size_;
  std::vector<int64_t> last_use_;
};

class Run {
 public:
  Run(const StepTable& table, const Denoiser& denoiser, const Tensor& noise, const Condition& condition,
      const SampleOptions& options)
      : table_(table),
        denoiser_(denoiser),
        condition_(condition),
        options_(options),
        traced_(torch::GradMode::is_enabled() && (AnyRequiresGrad(table) || noise.requires_grad())),
        basis_(table.basis ? std::make_unique<SpectralTransform>(*table.basis, noise) : nullptr),
        band_(table.spectral() ? table.basis->BandOfFrequency().flatten().to(noise.device()) : Tensor()),
        a_(table.a, band_, traced_, noise),
        b_(table.b, band_, traced_, noise),
        states_(table.nfe()),
        predictions_(table.nfe()) {}

  Tensor Sample(const Tensor& noise) {
    const torch::AutoGradMode mode(traced_);
    Tensor state = Start(noise), coordinates = Coordinates(state);
    for (int64_t n = 0; n < table_.nfe(); ++n) {
      if (options_.on_state) options_.on_state(n, state);
      const Tensor prediction = DataPrediction(n, state);
      if (options_.on_data_prediction) options_.on_data_prediction(n, prediction);
      states_[n] = coordinates;
      predictions_[n] = Coordinates(prediction);
      coordinates = traced_ ? NextTraced(n) : NextPlain(n);
      state = table_.spectral() ? basis_->Inverse(coordinates) : coordinates;
      Forget(n);
    }
    if (options_.on_state) options_.on_state(table_.nfe(), state);
    return state;
  }

 private:
  Tensor Start(const Tensor& noise) const {
    const Tensor state = noise * table_.prior_std;
    if (!table_.start) return state;
    const auto cast = [&](const Tensor& v) { return v.to(noise.options().requires_grad(c10::nullopt)); };
    return basis_->Inverse(cast(table_.start->gain) * basis_->Forward(state) + cast(table_.start->offset));
  }

  // v as coefficients apply to it: its spectrum, or itself.
  Tensor Coordinates(const Tensor& v) const { return table_.spectral() ? basis_->Forward(v) : v; }

  Tensor DataPrediction(int64_t n, const Tensor& x) const {
    const NoiseLevel at{table_.t_eval[n], table_.alpha_eval[n], table_.sigma_eval[n]};
    const Tensor output = traced_ && options_.checkpoint
                              ? PredictWithoutActivations(denoiser_, x, at, condition_)
                              : denoiser_.Predict(x, at, condition_);
    GAS_CHECK(output.sizes() == x.sizes(), Errc::kInternal, "network output of shape ", output.sizes(),
              ", must be that of the state, ", x.sizes());
    const DataPredictionWeights weights =
        DataPredictionOf(denoiser_.prediction_type(), at, table_.alpha[n], table_.sigma[n]);
    if (weights.state.requires_grad() || weights.network.requires_grad()) {
      const auto cast = [&](const Tensor& weight) {
        return weight.to(x.options().requires_grad(c10::nullopt));
      };
      return cast(weights.network) * output + cast(weights.state) * x;
    }
    const double state = weights.state.item<double>(), network = weights.network.item<double>();
    const Tensor scaled = network == 1 ? output.to(x.scalar_type()) : output.to(x.scalar_type()) * network;
    if (state == 0) return scaled;
    return network == 1 ? scaled.add(x, state)
                        : scaled.add_(x, state);  // in place on a buffer of our own only
  }

  // One new buffer, one fused multiply-add per term.
  Tensor NextPlain(int64_t n) const {
    Tensor sum;
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.Uses(n, j)) a_.AddTo(sum, n, j, states_[j]);
      if (b_.Uses(n, j)) b_.AddTo(sum, n, j, predictions_[j]);
    }
    return sum.defined() ? sum : torch::zeros_like(states_[n]);
  }

  Tensor NextTraced(int64_t n) const {
    Tensor sum;
    const auto add = [&](const Tensor& term) { sum = sum.defined() ? sum + term : term; };
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.Uses(n, j)) add(a_.Times(n, j, states_[j]));
      if (b_.Uses(n, j)) add(b_.Times(n, j, predictions_[j]));
    }
    return sum.defined() ? sum : torch::zeros_like(states_[n]);
  }

  // Releases what no row after n reads.
  void Forget(int64_t n) {
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.LastUse(j) <= n) states_[j].reset();
      if (b_.LastUse(j) <= n) predictions_[j].reset();
    }
  }

  const StepTable& table_;
  const Denoiser& denoiser_;
  const Condition& condition_;
  const SampleOptions& options_;
  bool traced_;
  std::unique_ptr<SpectralTransform> basis_;
  Tensor band_;
  Coefficients a_, b_;
  std::vector<Tensor> states_, predictions_;  // coordinates
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
