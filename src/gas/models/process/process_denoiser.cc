#include "gas/models/process/process_denoiser.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/models/class_labels.h"
#include "gas/models/no_gradient.h"
#include "gas/models/process/asked.h"
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

using AskedOutput = Asked<ProcessQuestion>;

// The first four inputs of forward are differentiable: x, t, alpha, sigma.
class ProcessFunction : public torch::autograd::Function<ProcessFunction> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& t, const Tensor& alpha,
                        const Tensor& sigma, const c10::intrusive_ptr<AskedOutput>& asked) {
    context->save_for_backward({x, t, alpha, sigma});
    context->saved_data["asked"] = torch::IValue::make_capsule(asked);
    return OutputOf(*asked->pool, asked->question).to(x.device(), x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& output_gradient) {
    const auto asked =
        c10::static_intrusive_pointer_cast<AskedOutput>(context->saved_data["asked"].toCapsule());
    const QuestionGradient found = GradientOf(
        *asked->pool, asked->question, output_gradient[0].to(torch::kCPU, torch::kFloat32).contiguous());
    const variable_list inputs = context->get_saved_variables();
    variable_list gradients(5);
    gradients[0] = found.state.to(inputs[0].device(), inputs[0].scalar_type());
    const Tensor level = found.level.sum(0);
    for (int64_t i = 0; i < 3; ++i) gradients[1 + i] = level[i].to(inputs[1 + i].device());
    return gradients;
  }
};

}  // namespace

ProcessDenoiser::ProcessDenoiser(std::shared_ptr<const ProcessPool> pool, ProcessUse use)
    : pool_(std::move(pool)), use_(std::move(use)) {
  if (use_.shape.empty()) use_.shape = hello().shape;
}

const ProcessDenoiser& OwnDenoiser(const Model& model) {
  const auto* denoiser = dynamic_cast<const ProcessDenoiser*>(model.denoiser.get());
  GAS_ASSERT(denoiser != nullptr);
  return *denoiser;
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
  return ProcessFunction::apply(x, at.t, at.alpha, at.sigma,
                                c10::make_intrusive<AskedOutput>(pool_, std::move(question)));
}

}  // namespace gas
