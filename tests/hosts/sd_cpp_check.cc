// The sampler that hosts/sd.cpp/gas_solver.patch adds, with the program's own tensors and a denoiser in its
// manner that is exact for data N(0.5, 0.25): sd_cpp_check SOLVER FLOW(0|1) W H C NOISE OUT SIGMA...
#include <cstdio>
#include <cstdlib>

#include "runtime/gas_sampler.hpp"

namespace {

sd::guidance::GuiderOutput Denoise(const sd::Tensor<float>& x, float sigma, bool flow) {
  const double a = flow ? 1 - sigma : 1, shrink = a * 0.25 / (a * a * 0.25 + sigma * sigma);
  sd::guidance::GuiderOutput output;
  output.pred = x;
  for (float& value : output.pred.values()) value = static_cast<float>(0.5 + shrink * (value - a * 0.5));
  return output;
}

// Between whole steps by the logarithm, as CompVisDenoiser does.
float SigmaOfTime(const double* alphas, float t) {
  const auto log_sigma = [&](int k) { return 0.5 * std::log((1 - alphas[k]) / alphas[k]); };
  const int low = static_cast<int>(std::floor(t)), high = static_cast<int>(std::ceil(t));
  return static_cast<float>(std::exp(log_sigma(low) + (t - low) * (log_sigma(high) - log_sigma(low))));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 9) return 2;
  const bool flow = std::atoi(argv[2]) != 0;
  sd::Tensor<float> x({std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]), 1});
  std::FILE* file = std::fopen(argv[6], "rb");
  if (file == nullptr ||
      std::fread(x.data(), sizeof(float), x.numel(), file) != static_cast<size_t>(x.numel()))
    return 2;
  std::fclose(file);
  std::vector<float> sigmas;
  for (int i = 8; i < argc; ++i) sigmas.push_back(std::strtof(argv[i], nullptr));
  for (float& value : x.values()) value *= sigmas[0];
  gas_error error;
  gas_solver* solver = gas_solver_read(argv[1], &error);
  std::string message;
  const sd::Tensor<float> sample = sd::gas::sample(
      argv[1], [&](const sd::Tensor<float>& seen, float sigma, int) { return Denoise(seen, sigma, flow); }, x,
      sigmas, [&](float t) { return SigmaOfTime(gas_solver_alphas_cumprod(solver), t); }, flow, &message);
  gas_solver_free(solver);
  if (sample.empty()) {
    std::fprintf(stderr, "%s\n", message.c_str());
    return 1;
  }
  file = std::fopen(argv[7], "wb");
  for (float value : sample.values()) {
    const float kept = flow ? value / (1 - sigmas.back()) : value;  // as the program does afterwards
    std::fwrite(&kept, sizeof kept, 1, file);
  }
  return std::fclose(file);
}
