#include "gas/teacher/table_hash.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/io/file.h"

namespace gas {
namespace {

constexpr double kLevels = 1 << 24;

// "name[shape] largest: n n n ...", each entry in units of 2^-24 of the largest.
void AppendRounded(std::string& text, const char* name, const Tensor& values) {
  const Tensor flat = values.detach().to(torch::kFloat64).contiguous();
  const double largest = flat.numel() > 0 ? flat.abs().max().item<double>() : 0;
  text += fmt::format("{}[{}] {:a}:", name, fmt::join(flat.sizes(), ","), static_cast<float>(largest));
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const double share = largest > 0 ? flat.data_ptr<double>()[i] / largest : 0;
    text += fmt::format(" {}", std::llround(share * kLevels));
  }
  text += '\n';
}

}  // namespace

std::string TableHash(const StepTable& table) {
  std::string text;
  AppendRounded(text, "t", table.t);
  AppendRounded(text, "t_eval", table.t_eval);
  AppendRounded(text, "alpha", table.alpha);
  AppendRounded(text, "sigma", table.sigma);
  AppendRounded(text, "alpha_eval", table.alpha_eval);
  AppendRounded(text, "sigma_eval", table.sigma_eval);
  AppendRounded(text, "a", table.a);
  AppendRounded(text, "b", table.b);
  AppendRounded(text, "prior_std", Scalar(table.prior_std));
  if (table.basis) {
    AppendRounded(text, "rotation", table.basis->rotation);
    AppendRounded(text, "edges", table.basis->edges);
  }
  if (table.start) {
    AppendRounded(text, "gain", table.start->gain);
    AppendRounded(text, "offset", table.start->offset);
  }
  return Sha256(text);
}

}  // namespace gas
