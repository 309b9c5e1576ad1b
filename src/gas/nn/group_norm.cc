#include "gas/nn/group_norm.h"

#include <ATen/Parallel.h>

#include "gas/nn/bfloat16_bits.h"
#include "gas/nn/fast_exp.h"
#include "gas/nn/simd.h"

namespace gas::nn {
namespace {

// One image: positions x channels, row-major.
struct Shape {
  int64_t batch, positions, channels, groups;
  int64_t width() const { return channels / groups; }
  int64_t size() const { return positions * channels; }
};

inline float Sigmoid(float v) { return 1.0f / (1.0f + FastExp(-v)); }

// first[c] = sum over positions of u, second[c] = sum of u * v; of u - u[0][c] and v - v[0][c] if they are
// centred. Short float sums are collected in double. Inlined, so that each caller's instructions are its own.
template <bool Centred>
[[gnu::always_inline]] inline void SumOverPositions(const float* u, const float* v, int64_t positions,
                                                    int64_t channels, float* scratch, double* first,
                                                    double* second) {
  constexpr int64_t kChunk = 32;
  float* a = scratch;
  float* b = scratch + channels;
  std::fill(first, first + channels, 0.0);
  std::fill(second, second + channels, 0.0);
  for (int64_t begin = 0; begin < positions; begin += kChunk) {
    std::fill(scratch, scratch + 2 * channels, 0.0f);
    const int64_t end = std::min(positions, begin + kChunk);
    for (int64_t p = begin; p < end; ++p) {
      const float* up = u + p * channels;
      const float* vp = v + p * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float of_u = Centred ? up[c] - u[c] : up[c];
        const float of_v = Centred ? vp[c] - v[c] : vp[c];
        a[c] += of_u;
        b[c] += of_u * of_v;
      }
    }
    for (int64_t c = 0; c < channels; ++c) {
      first[c] += a[c];
      second[c] += b[c];
    }
  }
}

GAS_SIMD_CLONES
void ChannelSums(const float* u, const float* v, int64_t positions, int64_t channels, float* scratch,
                 double* first, double* second) {
  SumOverPositions<false>(u, v, positions, channels, scratch, first, second);
}

// Of x - x[0][c] and its square: what stands far from zero beside its spread keeps its digits.
GAS_SIMD_CLONES
void ChannelMoments(const float* x, int64_t positions, int64_t channels, float* scratch, double* first,
                    double* second) {
  SumOverPositions<true>(x, x, positions, channels, scratch, first, second);
}

GAS_SIMD_CLONES
void Affine(const float* x, int64_t positions, int64_t channels, const float* scale, const float* shift,
            bool silu, float* y) {
  for (int64_t p = 0; p < positions; ++p) {
    const float* xp = x + p * channels;
    float* yp = y + p * channels;
    if (silu) {
      for (int64_t c = 0; c < channels; ++c) {
        const float v = xp[c] * scale[c] + shift[c];
        yp[c] = v * Sigmoid(v);
      }
    } else {
      for (int64_t c = 0; c < channels; ++c) yp[c] = xp[c] * scale[c] + shift[c];
    }
  }
}

// g <- g * d silu(v) / dv at v = x * scale + shift.
GAS_SIMD_CLONES
void SiluGradient(const float* grad, const float* x, int64_t positions, int64_t channels, const float* scale,
                  const float* shift, float* out) {
  for (int64_t p = 0; p < positions; ++p) {
    const int64_t row = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float v = x[row + c] * scale[c] + shift[c];
      const float s = Sigmoid(v);
      out[row + c] = grad[row + c] * (s * (1.0f + v * (1.0f - s)));
    }
  }
}

// out = g * by_gradient[c] + x * by_input[c] + constant[c]; g and out may be the same.
GAS_SIMD_CLONES
void Combine(const float* g, const float* x, int64_t positions, int64_t channels, const float* by_gradient,
             const float* by_input, const float* constant, float* out) {
  for (int64_t p = 0; p < positions; ++p) {
    const int64_t row = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      out[row + c] = g[row + c] * by_gradient[c] + x[row + c] * by_input[c] + constant[c];
    }
  }
}

// Images of a tensor as float32. Those of a bfloat16 tensor pass through a buffer that stays in a core's
// cache.
class Images {
 public:
  Images(const Tensor& tensor, int64_t size) : tensor_(tensor), size_(size) {
    if (tensor.scalar_type() == torch::kBFloat16) buffer_.resize(size);
  }
  // Image i, to read.
  const float* Read(int64_t i) {
    if (buffer_.empty()) return tensor_.data_ptr<float>() + i * size_;
    Convert(tensor_.data_ptr<c10::BFloat16>() + i * size_, size_, buffer_.data());
    return buffer_.data();
  }
  // Where image i is to be written; Written(i) afterwards.
  float* Write(int64_t i) { return buffer_.empty() ? tensor_.data_ptr<float>() + i * size_ : buffer_.data(); }
  void Written(int64_t i) {
    if (!buffer_.empty()) Convert(buffer_.data(), size_, tensor_.data_ptr<c10::BFloat16>() + i * size_);
  }

 private:
  const Tensor& tensor_;
  int64_t size_;
  std::vector<float> buffer_;
};

// What all images of a call share.
struct Norm {
  Shape shape;
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  double eps;
  bool silu;  // apply SiLU to the result
};

// Of one image, each [groups].
struct Moments {
  float* mean;
  float* rstd;  // 1 / sqrt(variance + eps)
};

// What the loss's gradient of one image becomes.
struct ImageGradients {
  float* input;   // [positions, channels]
  float* weight;  // [channels], this image's share
  float* bias;    // [channels], this image's share
};

// y = x * scale[c] + shift[c] is the normalisation with weight and bias.
void ScaleAndShift(const Norm& norm, const Moments& moments, float* scale, float* shift) {
  for (int64_t c = 0; c < norm.shape.channels; ++c) {
    const int64_t g = c / norm.shape.width();
    scale[c] = norm.weight[c] * moments.rstd[g];
    shift[c] = norm.bias[c] - moments.mean[g] * scale[c];
  }
}

// Writes moments and y.
void ForwardImage(const Norm& norm, const float* x, const Moments& moments, float* y) {
  const Shape& s = norm.shape;
  std::vector<double> sums(s.channels), squares(s.channels);
  std::vector<float> scratch(2 * s.channels);
  ChannelMoments(x, s.positions, s.channels, scratch.data(), sums.data(), squares.data());
  const double positions = static_cast<double>(s.positions);
  for (int64_t g = 0; g < s.groups; ++g) {
    const int64_t first = g * s.width(), last = first + s.width();
    const auto channel_mean = [&](int64_t c) { return x[c] + sums[c] / positions; };
    double mean = 0, variance = 0;
    for (int64_t c = first; c < last; ++c) mean += channel_mean(c) / static_cast<double>(s.width());
    // Within each channel, and between the channels.
    for (int64_t c = first; c < last; ++c) {
      const double inside = squares[c] / positions - std::pow(sums[c] / positions, 2);
      variance += (inside + std::pow(channel_mean(c) - mean, 2)) / static_cast<double>(s.width());
    }
    moments.mean[g] = static_cast<float>(mean);
    moments.rstd[g] = static_cast<float>(1.0 / std::sqrt(std::max(variance, 0.0) + norm.eps));
  }
  float* scale = scratch.data();
  float* shift = scratch.data() + s.channels;
  ScaleAndShift(norm, moments, scale, shift);
  Affine(x, s.positions, s.channels, scale, shift, norm.silu, y);
}

// dL/dx = g by_gradient[c] + x by_input[c] + constant[c], with g the gradient at the normalisation's output.
void BackwardImage(const Norm& norm, const Moments& moments, const float* gradient, const float* x,
                   const ImageGradients& out) {
  const Shape& s = norm.shape;
  std::vector<float> scratch(2 * s.channels);
  const float* g = gradient;
  if (norm.silu) {
    float* scale = scratch.data();
    float* shift = scratch.data() + s.channels;
    ScaleAndShift(norm, moments, scale, shift);
    SiluGradient(gradient, x, s.positions, s.channels, scale, shift, out.input);
    g = out.input;
  }
  std::vector<double> g_sums(s.channels), gx_sums(s.channels);  // over positions
  ChannelSums(g, x, s.positions, s.channels, scratch.data(), g_sums.data(), gx_sums.data());
  std::vector<float> by_gradient(s.channels), by_input(s.channels), constant(s.channels);
  const double count = static_cast<double>(s.positions * s.width());
  for (int64_t group = 0; group < s.groups; ++group) {
    const double m = moments.mean[group], r = moments.rstd[group];
    double sum = 0, dot = 0;  // over the group: of w g, and of w g (x - mean) rstd
    for (int64_t c = group * s.width(); c < (group + 1) * s.width(); ++c) {
      const double normalised = (gx_sums[c] - m * g_sums[c]) * r;
      out.weight[c] = static_cast<float>(normalised);
      out.bias[c] = static_cast<float>(g_sums[c]);
      sum += norm.weight[c] * g_sums[c];
      dot += norm.weight[c] * normalised;
    }
    for (int64_t c = group * s.width(); c < (group + 1) * s.width(); ++c) {
      by_gradient[c] = static_cast<float>(r * norm.weight[c]);
      by_input[c] = static_cast<float>(-r * r * dot / count);
      constant[c] = static_cast<float>(-r * sum / count + r * r * m * dot / count);
    }
  }
  Combine(g, x, s.positions, s.channels, by_gradient.data(), by_input.data(), constant.data(), out.input);
}

Tensor Reference(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                 bool silu) {
  const Tensor y = torch::group_norm(x.to(weight.scalar_type()), groups, weight, bias, eps);
  return (silu ? torch::silu(y) : y).to(x.scalar_type());
}

Shape ShapeOf(const Tensor& x, int64_t groups) {
  return {x.size(0), x.size(2) * x.size(3), x.size(1), groups};
}

// mean and rstd [B,groups] float32.
Moments MomentsOf(const Tensor& mean, const Tensor& rstd, int64_t image) {
  const int64_t offset = image * mean.size(1);
  return {mean.data_ptr<float>() + offset, rstd.data_ptr<float>() + offset};
}

// Writes the moments of all images, and y, which may be x.
void ForwardImages(const Norm& norm, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                   const Tensor& y) {
  at::parallel_for(0, norm.shape.batch, 1, [&](int64_t begin, int64_t end) {
    Images from(x, norm.shape.size()), to(y, norm.shape.size());
    for (int64_t i = begin; i < end; ++i) {
      ForwardImage(norm, from.Read(i), MomentsOf(mean, rstd, i), to.Write(i));
      to.Written(i);
    }
  });
}

class Function : public torch::autograd::Function<Function> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, const Tensor& weight,
                        const Tensor& bias, int64_t groups, double eps, bool silu) {
    const Shape s = ShapeOf(x, groups);
    const Tensor mean = torch::empty({s.batch, groups}, torch::kFloat32), rstd = torch::empty_like(mean);
    const Tensor w = weight.contiguous(), b = bias.contiguous();
    Tensor y = torch::empty_like(x);
    ForwardImages({s, w.data_ptr<float>(), b.data_ptr<float>(), eps, silu}, x, mean, rstd, y);
    ctx->save_for_backward({x, weight, bias, mean, rstd});
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["silu"] = silu;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t groups = ctx->saved_data["groups"].toInt();
    const bool silu = ctx->saved_data["silu"].toBool();
    if (torch::GradMode::is_enabled()) return Differentiable(ctx, saved, grads[0]);
    const Tensor &x = saved[0], &mean = saved[3], &rstd = saved[4];
    const Tensor weight = saved[1].contiguous(), bias = saved[2].contiguous();
    const Tensor grad = grads[0].to(x.scalar_type()).contiguous(torch::MemoryFormat::ChannelsLast);
    const Shape s = ShapeOf(x, groups);
    const Norm norm{s, weight.data_ptr<float>(), bias.data_ptr<float>(), ctx->saved_data["eps"].toDouble(),
                    silu};
    Tensor dx = torch::empty_like(x);
    const Tensor dweight = torch::empty({s.batch, s.channels}, torch::kFloat32),
                 dbias = torch::empty_like(dweight);
    at::parallel_for(0, s.batch, 1, [&](int64_t begin, int64_t end) {
      Images upstream(grad, s.size()), input(x, s.size()), result(dx, s.size());
      for (int64_t i = begin; i < end; ++i) {
        const ImageGradients out{.input = result.Write(i),
                                 .weight = dweight.data_ptr<float>() + i * s.channels,
                                 .bias = dbias.data_ptr<float>() + i * s.channels};
        BackwardImage(norm, MomentsOf(mean, rstd, i), upstream.Read(i), input.Read(i), out);
        result.Written(i);
      }
    });
    return {dx, dweight.sum(0), dbias.sum(0), {}, {}, {}};
  }

 private:
  // The slow way, whose result can be differentiated again.
  static torch::autograd::variable_list Differentiable(torch::autograd::AutogradContext* ctx,
                                                       const torch::autograd::variable_list& saved,
                                                       const Tensor& grad) {
    const Tensor y = Reference(saved[0], ctx->saved_data["groups"].toInt(), saved[1], saved[2],
                               ctx->saved_data["eps"].toDouble(), ctx->saved_data["silu"].toBool());
    std::vector<Tensor> inputs;
    for (int i = 0; i < 3; ++i) {
      if (saved[i].requires_grad()) inputs.push_back(saved[i]);
    }
    const auto found =
        torch::autograd::grad({y}, inputs, {grad}, /*retain_graph=*/true, /*create_graph=*/true);
    torch::autograd::variable_list result(6);
    for (int i = 0, next = 0; i < 3; ++i) {
      if (saved[i].requires_grad()) result[i] = found[next++];
    }
    return result;
  }
};

}  // namespace

bool CanFuseGroupNorm(const Tensor& x, const Tensor& weight) {
  // A thread takes a whole image here; LibTorch's own kernel divides images.
  const bool most_threads_idle = !at::in_parallel_region() && 4 * x.size(0) <= at::get_num_threads();
  return !most_threads_idle && x.is_cpu() && x.dim() == 4 &&
         (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16) &&
         weight.scalar_type() == torch::kFloat32 && x.numel() > 0 &&
         x.is_contiguous(torch::MemoryFormat::ChannelsLast);
}

Tensor FusedGroupNorm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                      bool silu) {
  return Function::apply(x, weight, bias, groups, eps, silu);
}

void FusedGroupNormInPlace(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                           double eps, bool silu) {
  const Shape s = ShapeOf(x, groups);
  const Tensor mean = torch::empty({s.batch, groups}, torch::kFloat32), rstd = torch::empty_like(mean);
  const Tensor w = weight.contiguous(), b = bias.contiguous();
  ForwardImages({s, w.data_ptr<float>(), b.data_ptr<float>(), eps, silu}, x, mean, rstd, x);
}

}  // namespace gas::nn
