// 02_denoiser_process.cc - a network in a program of its own, which gas asks through a pipe
// (docs/process-denoiser.md). Nothing of gas is included or linked. Any language will do; with this one:
//
//   D=build/release/examples/example_02_denoiser_process
//   gas sample --model exec:$D --nfe 5 --format grid --out grid.png
//
// The "network" here is the exact denoiser of two Gaussians, one for each class: light above dark, and light
// beside dark. Expected output without a request: the one line that begins with {"gas_denoiser":1, and exit
// status 0.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr int kSide = 8, kPixels = kSide * kSide, kClasses = 2;
constexpr double kVariance = 0.04;  // of every pixel around its class's mean

double Mean(int label, int pixel) {
  return (label == 0 ? pixel / kSide : pixel % kSide) < kSide / 2 ? 0.5 : -0.5;
}

struct Request {
  long batch;
  double alpha, sigma;
  bool labels;
};

// The number after "key": in the request. A request is one flat object of numbers, true and false, so that
// looking for the key is enough; keys that we do not know are passed over, as they must be.
double Number(const std::string& line, const std::string& key) {
  const size_t at = line.find("\"" + key + "\":");
  return at == line.npos ? 0 : std::strtod(line.c_str() + at + key.size() + 3, nullptr);
}

Request ParseRequest(const std::string& line) {
  return {std::lround(Number(line, "batch")), Number(line, "alpha"), Number(line, "sigma"),
          line.find("\"labels\":true") != line.npos};
}

// E[x0 | x] with x = alpha x0 + sigma eps: within class k it is m_k + alpha s^2 / v (x - alpha m_k), v =
// alpha^2 s^2 + sigma^2, and without a label (-1) the classes weigh in by exp(-|x - alpha m_k|^2 / (2 v)).
void Denoise(const Request& at, int64_t label, float* x) {
  const double v = at.alpha * at.alpha * kVariance + at.sigma * at.sigma;
  double log_weight[kClasses] = {};
  for (int k = 0; k < kClasses; ++k) {
    for (int i = 0; i < kPixels; ++i) log_weight[k] -= std::pow(x[i] - at.alpha * Mean(k, i), 2) / (2 * v);
  }
  const double first = label >= 0 ? (label == 0 ? 1 : 0) : 1 / (1 + std::exp(log_weight[1] - log_weight[0]));
  for (int i = 0; i < kPixels; ++i) {
    const double mean = first * Mean(0, i) + (1 - first) * Mean(1, i);
    x[i] = static_cast<float>(mean + at.alpha * kVariance / v * (x[i] - at.alpha * mean));
  }
}

template <class T>
bool Read(std::vector<T>& values) {
  std::cin.read(reinterpret_cast<char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(T)));
  return static_cast<bool>(std::cin);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::cout << R"({"gas_denoiser":1,"name":"two-gaussians","shape":[1,8,8],"classes":2,"prediction":"data",)"
            << R"("schedule":{"kind":"vp-linear","beta_0":0.1,"beta_1":20.0,"t_eps":0.001}})" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {  // the end of the input asks us to quit
    const Request request = ParseRequest(line);
    std::vector<float> x(request.batch * kPixels);
    std::vector<int64_t> labels(request.labels ? request.batch : 0);
    if (!Read(x) || !Read(labels)) return 1;
    for (long b = 0; b < request.batch; ++b)
      Denoise(request, request.labels ? labels[b] : -1, &x[b * kPixels]);
    std::cout.write(reinterpret_cast<const char*>(x.data()),
                    static_cast<std::streamsize>(x.size() * sizeof(float)));
    std::cout.flush();
  }
  return 0;
}
