#include "gas/solver/not_finite.h"

#include <vector>

#include <fmt/format.h>

#include "gas/solver/sampler.h"

namespace gas {

std::optional<NotFinite> FindNotFinite(const StepTable& table, const Denoiser& denoiser, const Tensor& noise,
                                       const Condition& condition) {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> finite;       // [B] each, on the device: x_0, m_0, x_1, m_1, ..., x_N
  std::vector<std::string> places;  // of each
  const auto note = [&](const char* what, int64_t n, const Tensor& values) {
    finite.push_back(values.isfinite().flatten(1).all(1));
    places.push_back(n == table.nfe() ? "the sample itself"
                                      : fmt::format("the {} of step {} of {}", what, n, table.nfe()));
  };
  SampleOptions hooks;
  hooks.on_state = [&](int64_t n, const Tensor& x) { note("state", n, x); };
  hooks.on_data_prediction = [&](int64_t n, const Tensor& m) { note("prediction", n, m); };
  RunTable(table, denoiser, noise, condition, hooks);

  const Tensor flags = torch::stack(finite).cpu();  // [2N+1,B]
  const Tensor samples = flags[-1];
  if (samples.all().item<bool>()) return std::nullopt;
  NotFinite found;
  while (samples[found.row].item<bool>()) ++found.row;
  size_t first = 0;
  while (flags[static_cast<int64_t>(first)][found.row].item<bool>()) ++first;
  found.place = places[first];
  return found;
}

}  // namespace gas
