#include "gas/solver/sampler.h"

#include "gas/core/error.h"
#include "gas/solver/checkpoint.h"

namespace gas {
namespace {

bool AnyRequiresGrad(const StepTable& table) {
  for (const Tensor& entry : {table.t_eval, table.alpha, table.sigma, table.alpha_eval, table.sigma_eval, table.a,
                              table.b}) {
    if (entry.requires_grad()) return true;
  }
  return false;
}

// sum_j c_j v_j with numbers: one new buffer, one fused multiply-add per term.
Tensor CombineNumbers(const std::vector<std::pair<double, Tensor>>& terms, const Tensor& like) {
  if (terms.empty()) return torch::zeros_like(like);
  Tensor sum = terms[0].second * terms[0].first;
  for (size_t i = 1; i < terms.size(); ++i) sum.add_(terms[i].second, terms[i].first);
  return sum;
}

// Coefficients of a table, read by the sampler entry by entry.
class Coefficients {
 public:
  // matrix [N,N] float64. With `traced`, entries enter the graph, in the type and on the device of `like`.
  Coefficients(const Tensor& matrix, bool traced, const Tensor& like)
      : values_(matrix.detach().contiguous()), size_(matrix.size(0)) {
    if (traced && matrix.requires_grad()) traced_ = matrix.to(like.options().requires_grad(c10::nullopt));
    for (int64_t j = 0; j < size_; ++j) {
      last_use_.push_back(j);
      for (int64_t n = size_ - 1; n > j && last_use_[j] == j; --n) {
        if (Uses(n, j)) last_use_[j] = n;
      }
    }
  }

  double Value(int64_t n, int64_t j) const { return values_.data_ptr<double>()[n * size_ + j]; }
  // A trained entry counts although its value is zero now: it has a gradient.
  bool Uses(int64_t n, int64_t j) const { return traced_.defined() || Value(n, j) != 0; }
  Tensor Times(int64_t n, int64_t j, const Tensor& v) const {
    return traced_.defined() ? traced_[n][j] * v : Value(n, j) * v;
  }
  // The last row that reads v_j, or j itself.
  int64_t LastUse(int64_t j) const { return last_use_[j]; }

 private:
  Tensor values_, traced_;
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
        a_(table.a, traced_, noise),
        b_(table.b, traced_, noise),
        states_(table.nfe()),
        predictions_(table.nfe()) {}

  Tensor Sample(const Tensor& noise) {
    const torch::AutoGradMode mode(traced_);
    Tensor state = noise * table_.prior_std;
    for (int64_t n = 0; n < table_.nfe(); ++n) {
      if (options_.on_state) options_.on_state(n, state);
      states_[n] = state;
      predictions_[n] = DataPrediction(n);
      if (options_.on_data_prediction) options_.on_data_prediction(n, predictions_[n]);
      state = traced_ ? NextTraced(n) : NextPlain(n);
      Forget(n);
    }
    if (options_.on_state) options_.on_state(table_.nfe(), state);
    return state;
  }

 private:
  Tensor DataPrediction(int64_t n) const {
    const Tensor& x = states_[n];
    const NoiseLevel at{table_.t_eval[n], table_.alpha_eval[n], table_.sigma_eval[n]};
    const Tensor output = traced_ && options_.checkpoint ? PredictWithoutActivations(denoiser_, x, at, condition_)
                                                         : denoiser_.Predict(x, at, condition_);
    GAS_CHECK(output.sizes() == x.sizes(), Errc::kInternal, "network output of shape ", output.sizes(),
              ", must be that of the state, ", x.sizes());
    const DataPredictionWeights weights =
        DataPredictionOf(denoiser_.prediction_type(), at, table_.alpha[n], table_.sigma[n]);
    if (weights.state.requires_grad() || weights.network.requires_grad()) {
      const auto cast = [&](const Tensor& weight) { return weight.to(x.options().requires_grad(c10::nullopt)); };
      return cast(weights.network) * output + cast(weights.state) * x;
    }
    const double state = weights.state.item<double>(), network = weights.network.item<double>();
    const Tensor scaled = network == 1 ? output.to(x.scalar_type()) : output.to(x.scalar_type()) * network;
    if (state == 0) return scaled;
    return network == 1 ? scaled.add(x, state) : scaled.add_(x, state);  // in place on a buffer of our own only
  }

  Tensor NextPlain(int64_t n) const {
    std::vector<std::pair<double, Tensor>> terms;
    for (int64_t j = 0; j <= n; ++j) {
      if (a_.Uses(n, j)) terms.emplace_back(a_.Value(n, j), states_[j]);
      if (b_.Uses(n, j)) terms.emplace_back(b_.Value(n, j), predictions_[j]);
    }
    return CombineNumbers(terms, states_[n]);
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
  Coefficients a_, b_;
  std::vector<Tensor> states_, predictions_;
};

}  // namespace

Tensor RunTable(const StepTable& table, const Denoiser& denoiser, const Tensor& noise, const Condition& condition,
                const SampleOptions& options) {
  ValidateTable(table);
  GAS_CHECK(noise.defined() && noise.is_floating_point() && noise.dim() >= 1, Errc::kBadOption,
            "sampler: the noise must be a floating-point tensor [B, ...]");
  return Run(table, denoiser, noise, condition, options).Sample(noise);
}

}  // namespace gas
