#include "gas/nn/geglu.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

#include "gas/nn/bfloat16_bits.h"
#include "gas/nn/fast_exp.h"
#include "gas/nn/simd.h"

namespace gas::nn {
namespace {

constexpr float kSqrtHalf = 0.70710678f, kInverseSqrtTwoPi = 0.39894228f;

// The normal distribution at x: its density, and what lies below. Abramowitz and Stegun 1964, 7.1.26, off by
// 7.5e-8 at most, from the tail, whose digits so are kept.
struct Normal {
  float density, below;
};

inline Normal NormalAt(float x) {
  const float bell = FastExp(-0.5f * x * x), size = std::abs(x) * kSqrtHalf;
  const float t = 1.0f / (1.0f + 0.3275911f * size);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * bell;
  const float side = x < 0 ? 0.0f : 1.0f;  // a choice of constants, which never becomes a branch
  return {kInverseSqrtTwoPi * bell, side + (1.0f - 2.0f * side) * tail};
}

// x [rows, 2 width] -> y [rows, width].
template <class T>
[[gnu::always_inline]] inline void GateRows(const T* x, const float* bias, int64_t rows, int64_t width,
                                            T* y) {
  for (int64_t r = 0; r < rows; ++r, x += 2 * width, y += width) {
    for (int64_t c = 0; c < width; ++c) {
      const float gate = ToFloat(x[width + c]) + bias[width + c];
      Put((ToFloat(x[c]) + bias[c]) * gate * NormalAt(gate).below, y[c]);
    }
  }
}

// The gradient of a row of x for that of y. In two steps, because GCC vectorises no loop that does both.
template <class T>
[[gnu::always_inline]] inline void GateGradientRow(const T* gradient, const T* x, const float* bias,
                                                   int64_t width, T* of_x) {
  constexpr int64_t kAtOnce = 256;
  float unit[kAtOnce], slope[kAtOnce];  // GELU of the gate, and its derivative
  for (int64_t first = 0; first < width; first += kAtOnce) {
    const int64_t count = std::min(kAtOnce, width - first);
    const T *value = x + first, *gate = value + width, *of_y = gradient + first;
    const float *shift = bias + first, *gate_shift = shift + width;
    T *of_value = of_x + first, *of_gate = of_value + width;
    for (int64_t c = 0; c < count; ++c) {
      const float b = ToFloat(gate[c]) + gate_shift[c];
      const Normal normal = NormalAt(b);
      unit[c] = b * normal.below;
      slope[c] = normal.below + b * normal.density;
    }
    for (int64_t c = 0; c < count; ++c) Put(ToFloat(of_y[c]) * unit[c], of_value[c]);
    for (int64_t c = 0; c < count; ++c)
      Put(ToFloat(of_y[c]) * (ToFloat(value[c]) + shift[c]) * slope[c], of_gate[c]);
  }
}

template <class T>
[[gnu::always_inline]] inline void GateGradientRows(const T* gradient, const T* x, const float* bias,
                                                    int64_t rows, int64_t width, T* of_x) {
  for (int64_t r = 0; r < rows; ++r) {
    GateGradientRow(gradient + r * width, x + 2 * r * width, bias, width, of_x + 2 * r * width);
  }
}

GAS_SIMD_CLONES
void Gate(const float* x, const float* bias, int64_t rows, int64_t width, float* y) {
  GateRows(x, bias, rows, width, y);
}

GAS_SIMD_CLONES
void Gate(const c10::BFloat16* x, const float* bias, int64_t rows, int64_t width, c10::BFloat16* y) {
  GateRows(x, bias, rows, width, y);
}

GAS_SIMD_CLONES
void GateGradient(const float* gradient, const float* x, const float* bias, int64_t rows, int64_t width,
                  float* of_x) {
  GateGradientRows(gradient, x, bias, rows, width, of_x);
}

GAS_SIMD_CLONES
void GateGradient(const c10::BFloat16* gradient, const c10::BFloat16* x, const float* bias, int64_t rows,
                  int64_t width, c10::BFloat16* of_x) {
  GateGradientRows(gradient, x, bias, rows, width, of_x);
}

// f(begin, end) for the rows of a matrix so wide, some to each thread.
template <class F>
void ForRows(int64_t rows, int64_t width, const F& f) {
  constexpr int64_t kNumbersToAThread = 1 << 14;
  at::parallel_for(0, rows, std::max<int64_t>(1, kNumbersToAThread / width), f);
}

template <class T>
void Gated(const Tensor& x, const float* bias, const Tensor& y) {
  const int64_t width = y.size(-1);
  const T* from = x.data_ptr<T>();
  T* to = y.data_ptr<T>();
  ForRows(y.numel() / width, width, [&](int64_t begin, int64_t end) {
    Gate(from + begin * 2 * width, bias, end - begin, width, to + begin * width);
  });
}

template <class T>
void GateDifferentiated(const Tensor& gradient, const Tensor& x, const float* bias, const Tensor& of_x) {
  const int64_t width = gradient.size(-1);
  const T *from = x.data_ptr<T>(), *of_y = gradient.data_ptr<T>();
  T* to = of_x.data_ptr<T>();
  ForRows(gradient.numel() / width, width, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 2 * width;
    GateGradient(of_y + begin * width, from + first, bias, end - begin, width, to + first);
  });
}

std::vector<Tensor> BiasedHalves(const Tensor& x, const Tensor& bias) {
  return (x + bias.to(x.scalar_type())).chunk(2, -1);
}

// The gradient of x, which can be differentiated again.
Tensor DifferentiableGradient(const Tensor& gradient, const Tensor& x, const Tensor& bias) {
  const auto halves = BiasedHalves(x, bias);
  const Tensor &value = halves[0], &gate = halves[1];
  const Tensor below = 0.5 * (1 + torch::erf(gate * M_SQRT1_2));
  const Tensor density = torch::exp(-0.5 * gate.square()) * (0.5 * M_SQRT1_2 * M_2_SQRTPI);
  return torch::cat({gradient * gate * below, gradient * value * (below + gate * density)}, -1);
}

class FusedGeglu : public torch::autograd::Function<FusedGeglu> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& bias) {
    context->save_for_backward({x, bias});
    auto sizes = x.sizes().vec();
    sizes.back() /= 2;
    const Tensor y = torch::empty(sizes, x.options());
    const float* shift = bias.data_ptr<float>();
    x.scalar_type() == torch::kFloat32 ? Gated<float>(x, shift, y) : Gated<c10::BFloat16>(x, shift, y);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &bias = saved[1];
    if (torch::GradMode::is_enabled()) return {DifferentiableGradient(gradients[0], x, bias), Tensor()};
    const Tensor gradient = gradients[0].to(x.scalar_type()).contiguous(), of_x = torch::empty_like(x);
    const float* shift = bias.data_ptr<float>();
    x.scalar_type() == torch::kFloat32 ? GateDifferentiated<float>(gradient, x, shift, of_x)
                                       : GateDifferentiated<c10::BFloat16>(gradient, x, shift, of_x);
    return {of_x, Tensor()};
  }
};

// Not where the bias is trained.
bool CanFuseGeglu(const Tensor& x, const Tensor& bias) {
  return x.is_cpu() && bias.is_cpu() && x.is_contiguous() && bias.is_contiguous() && x.numel() > 0 &&
         bias.scalar_type() == torch::kFloat32 && !(torch::GradMode::is_enabled() && bias.requires_grad()) &&
         (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16);
}

}  // namespace

Tensor Geglu(const Tensor& x, const Tensor& bias) {
  if (CanFuseGeglu(x, bias)) return FusedGeglu::apply(x, bias);
  const auto halves = BiasedHalves(x, bias);
  return halves[0] * torch::gelu(halves[1]);
}

}  // namespace gas::nn
