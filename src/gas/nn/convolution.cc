#include "gas/nn/convolution.h"

#include "gas/core/autocast.h"

namespace gas::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Gradients {
  Tensor input, weight, bias;
};

// The wanted ones of the three for an output gradient; x and weight give at least the sizes.
Gradients GradientsOf(const Tensor& grad, const Tensor& x, const Tensor& weight, const ConvolutionShape& s,
                      std::array<bool, 3> wanted) {
  const std::vector<int64_t> bias_sizes = {weight.size(0)};
  auto [input, weights, bias] = at::convolution_backward(grad, x, weight, at::OptionalIntArrayRef(bias_sizes),
                                                         {s.stride, s.stride}, {s.padding, s.padding}, {1, 1},
                                                         /*transposed=*/false, {0, 0}, s.groups, wanted);
  return {input, weights, bias};
}

void Save(AutogradContext* ctx, const ConvolutionShape& s, variable_list tensors) {
  ctx->saved_data["shape"] = std::vector<int64_t>{s.padding, s.stride, s.groups};
  ctx->save_for_backward(std::move(tensors));
}

ConvolutionShape SavedShape(AutogradContext* ctx) {
  const auto values = ctx->saved_data["shape"].toIntVector();
  return {values[0], values[1], values[2]};
}

// y = weight * x + bias, where * is the convolution. An empty bias is none: custom functions take no
// undefined tensors.
struct Forward : torch::autograd::Function<Forward> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvolutionShape& shape);
  static variable_list backward(AutogradContext* ctx, variable_list grads);
};

// The gradient of x for that of y, linear in both of its arguments; `x` gives the sizes.
struct InputGradient : torch::autograd::Function<InputGradient> {
  static Tensor forward(AutogradContext* ctx, const Tensor& grad, const Tensor& weight, const Tensor& x,
                        const ConvolutionShape& shape);
  static variable_list backward(AutogradContext* ctx, variable_list grads);
};

// The gradient of weight for that of y, linear in both of its arguments; `weight` gives the sizes.
struct WeightGradient : torch::autograd::Function<WeightGradient> {
  static Tensor forward(AutogradContext* ctx, const Tensor& grad, const Tensor& x, const Tensor& weight,
                        const ConvolutionShape& shape);
  static variable_list backward(AutogradContext* ctx, variable_list grads);
};

Tensor Forward::forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvolutionShape& shape) {
  Save(ctx, shape, {x, weight});
  const bool with_bias = bias.numel() > 0;
  ctx->saved_data["bias"] = with_bias;
  return at::conv2d(x, weight, with_bias ? bias : Tensor(), shape.stride, shape.padding, /*dilation=*/1,
                    shape.groups);
}

variable_list Forward::backward(AutogradContext* ctx, variable_list grads) {
  const auto saved = ctx->get_saved_variables();
  const ConvolutionShape shape = SavedShape(ctx);
  const bool bias = ctx->saved_data["bias"].toBool();
  const std::array<bool, 3> wanted = {ctx->needs_input_grad(0), ctx->needs_input_grad(1),
                                      bias && ctx->needs_input_grad(2)};
  if (!torch::GradMode::is_enabled()) {
    const Gradients all = GradientsOf(grads[0], saved[0], saved[1], shape, wanted);
    return {all.input, all.weight, all.bias, {}};
  }
  variable_list result(4);
  if (wanted[0]) result[0] = InputGradient::apply(grads[0], saved[1], saved[0].detach(), shape);
  if (wanted[1]) result[1] = WeightGradient::apply(grads[0], saved[0], saved[1].detach(), shape);
  if (wanted[2]) result[2] = grads[0].sum({0, 2, 3});
  return result;
}

Tensor InputGradient::forward(AutogradContext* ctx, const Tensor& grad, const Tensor& weight, const Tensor& x,
                              const ConvolutionShape& shape) {
  Save(ctx, shape, {grad, weight});
  return GradientsOf(grad, x, weight, shape, {true, false, false}).input;
}

variable_list InputGradient::backward(AutogradContext* ctx, variable_list grads) {
  const auto saved = ctx->get_saved_variables();  // grad, weight
  const ConvolutionShape shape = SavedShape(ctx);
  variable_list result(4);
  if (ctx->needs_input_grad(0)) result[0] = Convolution(grads[0], saved[1], {}, shape);
  if (ctx->needs_input_grad(1))
    result[1] = WeightGradient::apply(saved[0], grads[0], saved[1].detach(), shape);
  return result;
}

Tensor WeightGradient::forward(AutogradContext* ctx, const Tensor& grad, const Tensor& x,
                               const Tensor& weight, const ConvolutionShape& shape) {
  Save(ctx, shape, {grad, x});
  return GradientsOf(grad, x, weight, shape, {false, true, false}).weight;
}

variable_list WeightGradient::backward(AutogradContext* ctx, variable_list grads) {
  const auto saved = ctx->get_saved_variables();  // grad, x
  const ConvolutionShape shape = SavedShape(ctx);
  variable_list result(4);
  if (ctx->needs_input_grad(0)) result[0] = Convolution(saved[1], grads[0], {}, shape);
  if (ctx->needs_input_grad(1))
    result[1] = InputGradient::apply(saved[0], grads[0], saved[1].detach(), shape);
  return result;
}

ConvolutionShape ShapeOf(const FrozenConvolution& frozen) {
  return {.padding = frozen.padding(), .stride = frozen.stride()};
}

// A frozen convolution as a graph keeps it.
struct KeptFrozen : torch::CustomClassHolder {
  explicit KeptFrozen(FrozenPtr pointer) : frozen(std::move(pointer)) {}
  FrozenPtr frozen;
};

// y = weight * x + bias by its copy of the weights, differentiable in x alone.
struct FrozenForward : torch::autograd::Function<FrozenForward> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const FrozenPtr& frozen) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["frozen"] = torch::IValue::make_capsule(c10::make_intrusive<KeptFrozen>(frozen));
    return frozen->Forward(x, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto kept = ctx->saved_data["frozen"].toCapsule();
    const FrozenConvolution& frozen = *static_cast<KeptFrozen&>(*kept).frozen;
    variable_list result(4);
    if (torch::GradMode::is_enabled() || !frozen.HasInputGradient() || !frozen.Takes(grads[0], saved[1])) {
      result[0] = InputGradient::apply(grads[0], saved[1], saved[0].detach(), ShapeOf(frozen));
    } else {
      result[0] = frozen.InputGradient(grads[0]);
    }
    return result;
  }
};

}  // namespace

Tensor Convolution(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvolutionShape& s) {
  const bool differentiated = torch::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() ||
                                                                (bias.defined() && bias.requires_grad()));
  if (differentiated && !AutocastEnabled(x.device().type())) {
    return Forward::apply(x, weight, bias.defined() ? bias : torch::empty({0}, x.options()), s);
  }
  return torch::conv2d(x, weight, bias, s.stride, s.padding, /*dilation=*/1, s.groups);
}

Tensor Convolution(const Tensor& x, const Tensor& weight, const Tensor& bias, const FrozenPtr& frozen) {
  const bool with_gradient = torch::GradMode::is_enabled();
  const bool weights_differentiated =
      with_gradient && (weight.requires_grad() || (bias.defined() && bias.requires_grad()));
  const bool narrow = frozen->dtype() != torch::kFloat32;  // what automatic casting asks for
  if (weights_differentiated || AutocastEnabled(x.device().type()) != narrow || !frozen->Takes(x, weight) ||
      (narrow && with_gradient && x.requires_grad())) {
    return Convolution(x, weight, bias, ShapeOf(*frozen));
  }
  if (with_gradient && x.requires_grad()) {
    return FrozenForward::apply(x, weight, bias.defined() ? bias : torch::empty({0}, x.options()), frozen);
  }
  return frozen->Forward(x, bias);
}

}  // namespace gas::nn
