#include "gas/models/process/process_denoiser.h"

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/layout.h"
#include "gas/models/class_labels.h"
#include "gas/models/no_gradient.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxHelloBytes = 1 << 20;

std::span<const char> BytesOf(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

}  // namespace

NetworkFacts ParseProcessHello(std::string_view where, std::string_view line) {
  const std::optional<Json> parsed = ParseJsonOrNone(line);
  GAS_CHECK(parsed && parsed->is_object(), Errc::kBadFile, where, ": its first line is ", Quoted(line),
            ", must be a JSON object");
  const Json& format = RequiredEntry(where, *parsed, "gas_denoiser");
  GAS_CHECK(format == 1, Errc::kBadFile, where, ": \"gas_denoiser\" = ", Shown(format), ", must be 1");
  return ParseNetworkFacts(where, *parsed, {.least = 3, .most = 3});
}

ProcessDenoiser::ProcessDenoiser(const std::string& command)
    : name_("exec:" + command),
      process_(std::make_unique<ChildProcess>(name_, command)),
      hello_line_(process_->ReadLine(kMaxHelloBytes)),
      hello_(ParseProcessHello(name_, hello_line_)) {}

// [B] int64 on the CPU, or undefined where none are sent.
Tensor ProcessDenoiser::CheckedLabels(const Condition& condition, int64_t batch) const {
  if (hello_.classes == 0 || !condition.labels.defined()) return {};
  const Tensor labels = condition.labels.to(torch::kCPU, torch::kInt64).contiguous();
  GAS_CHECK(labels.dim() == 1 && labels.size(0) == batch, Errc::kBadOption, name_, ": labels of shape ",
            labels.sizes(), ", must be [", batch, "]");
  CheckClassLabels(name_ + ": ", labels, -1, hello_.classes);
  return labels;
}

Tensor ProcessDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  CheckNoGradientAsked(hello_.name, x, at);
  GAS_CHECK(x.dim() == 4 && x.sizes().slice(1) == at::IntArrayRef(hello_.shape), Errc::kBadOption, name_,
            ": state of shape ", x.sizes(), ", must be [B, ", hello_.shape[0], ", ", hello_.shape[1], ", ",
            hello_.shape[2], "]");
  const int64_t batch = x.size(0);
  if (batch == 0) return torch::empty_like(x);
  const Tensor state =
      x.to(torch::kCPU, torch::kFloat32).contiguous();  // row by row, whatever the memory format was
  const Tensor labels = CheckedLabels(condition, batch);
  const std::string header = Json{{"batch", batch},
                                  {"t", at.t.item<double>()},
                                  {"alpha", at.alpha.item<double>()},
                                  {"sigma", at.sigma.item<double>()},
                                  {"labels", labels.defined()}}
                                 .dump() +
                             "\n";
  std::vector<std::span<const char>> request = {header, BytesOf(state)};
  if (labels.defined()) request.push_back(BytesOf(labels));
  const Tensor output = torch::empty(state.sizes(), torch::kFloat32);
  {
    const std::lock_guard lock(one_at_a_time_);
    process_->Exchange(std::move(request), {static_cast<char*>(output.data_ptr()), output.nbytes()});
  }
  return output.to(x.device(), x.scalar_type());
}

}  // namespace gas
