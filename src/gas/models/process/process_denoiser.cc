#include "gas/models/process/process_denoiser.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/models/class_labels.h"
#include "gas/models/no_gradient.h"
#include "gas/models/process/process_conditioner.h"
#include "gas/models/process/question.h"

namespace gas {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// [B] int64 on the CPU, or undefined where none are sent.
Tensor CheckedLabels(const ProcessPool& pool, const Condition& condition, int64_t batch) {
  const int64_t classes = pool.hello().classes;
  if (classes == 0 || !condition.labels.defined()) return {};
  const Tensor labels = condition.labels.to(torch::kCPU, torch::kInt64).contiguous();
  GAS_CHECK(labels.dim() == 1 && labels.size(0) == batch, Errc::kBadOption, pool.name(), ": labels of shape ",
            labels.sizes(), ", must be [", batch, "]");
  CheckClassLabels(pool.name() + ": ", labels, -1, classes);
  return labels;
}

// [B,n] uint8 on the CPU, or undefined for a process without texts.
Tensor CheckedRequests(const ProcessPool& pool, const Condition& condition, int64_t batch) {
  if (!pool.hello().texts) return {};
  const auto found = condition.tensors.find(kRequestEntry);
  GAS_CHECK(found != condition.tensors.end() && found->second.size(0) == batch, Errc::kBadOption, pool.name(),
            ": no request for each of ", batch, " samples");
  return found->second.cpu().contiguous();
}

// The first four inputs of forward are differentiable: x, t, alpha, sigma.
class ProcessFunction : public torch::autograd::Function<ProcessFunction> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& t, const Tensor& alpha,
                        const Tensor& sigma, const ProcessPool* pool, const ProcessQuestion& question) {
    context->save_for_backward({x, t, alpha, sigma});
    context->saved_data["state"] = question.state;
    context->saved_data["labels"] = question.labels;
    context->saved_data["requests"] = question.requests;
    if (question.guidance) context->saved_data["guidance"] = *question.guidance;
    context->saved_data["pool"] = reinterpret_cast<int64_t>(pool);
    return OutputOf(*pool, question).to(x.device(), x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& output_gradient) {
    const variable_list saved = context->get_saved_variables();
    variable_list gradients(6);
    const torch::IValue guidance = context->saved_data["guidance"];
    const ProcessQuestion question{
        .t = saved[1].item<double>(),
        .alpha = saved[2].item<double>(),
        .sigma = saved[3].item<double>(),
        .guidance = guidance.isNone() ? std::nullopt : std::optional(guidance.toDouble()),
        .state = context->saved_data["state"].toTensor(),
        .labels = context->saved_data["labels"].toTensor(),
        .requests = context->saved_data["requests"].toTensor()};
    // What a context saves may be a number, not a pointer.  NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* pool = reinterpret_cast<const ProcessPool*>(context->saved_data["pool"].toInt());
    const QuestionGradient found =
        GradientOf(*pool, question, output_gradient[0].to(torch::kCPU, torch::kFloat32).contiguous());
    gradients[0] = found.state.to(saved[0].device(), saved[0].scalar_type());
    const Tensor level = found.level.sum(0);
    for (int64_t i = 0; i < 3; ++i) gradients[1 + i] = level[i].to(saved[1 + i].device());
    return gradients;
  }
};

}  // namespace

ProcessDenoiser::ProcessDenoiser(std::shared_ptr<const ProcessPool> pool, ProcessUse use)
    : pool_(std::move(pool)), use_(std::move(use)) {
  if (use_.shape.empty()) use_.shape = hello().shape;
}

Tensor ProcessDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  if (!hello().gradient) CheckNoGradientAsked(hello().name, x, at);
  GAS_CHECK(x.dim() > 0 && x.sizes().slice(1) == at::IntArrayRef(use_.shape), Errc::kBadOption, pool_->name(),
            ": state of shape ", x.sizes(), fmt::format(", must be [B, {}]", fmt::join(use_.shape, ", ")));
  const int64_t batch = x.size(0);
  if (batch == 0) return torch::empty_like(x);
  ProcessQuestion question{.t = at.t.item<double>(),
                           .alpha = at.alpha.item<double>(),
                           .sigma = at.sigma.item<double>(),
                           // Row by row, whatever the memory format was.
                           .state = x.detach().to(torch::kCPU, hello().dtype).contiguous(),
                           .labels = CheckedLabels(*pool_, condition, batch),
                           .requests = CheckedRequests(*pool_, condition, batch)};
  if (hello().guidance != GuidanceSide::kHere) question.guidance = use_.guidance;
  return ProcessFunction::apply(x, at.t, at.alpha, at.sigma, pool_.get(), question);
}

}  // namespace gas
