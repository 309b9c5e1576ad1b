#include <chrono>
#include <iostream>

#include <fmt/format.h>
#include <torch/cuda.h>

#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/nn/flops.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> BenchRows() {
  return {
      ModelRow(),
      {.key = "bench.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "images at once"},
      {.key = "bench.seconds",
       .flag = "--seconds",
       .type = OptType::kReal,
       .def = "1",
       .min = 0.01,
       .max = 600,
       .help = "time for each measurement"},
      {.key = "bench.json",
       .flag = "--json",
       .type = OptType::kFlag,
       .def = "false",
       .help = "print one JSON object"},
      DeviceRow(),
      ThreadsRow(),
  };
}

// The median of repeated runs, in seconds.
double MedianSeconds(double budget, torch::Device device, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&] {
    const auto start = Clock::now();
    work();
    if (device.is_cuda()) torch::cuda::synchronize();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  timed();  // first calls compile kernels and fill caches
  std::vector<double> seconds;
  for (double used = 0; used < budget || seconds.size() < 3; used += seconds.back())
    seconds.push_back(timed());
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

struct Peaks {
  double convolution, product;  // GFLOP/s
};

Peaks MeasurePeaks(torch::Dtype dtype, torch::Device device, double budget) {
  torch::NoGradGuard no_grad;
  const Tensor x =
      torch::randn({16, 128, 32, 32}, device).to(dtype).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w =
      torch::randn({128, 128, 3, 3}, device).to(dtype).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor m = torch::randn({1024, 1024}, device).to(dtype);
  const double conv = MedianSeconds(budget, device, [&] { torch::conv2d(x, w, {}, 1, 1); });
  const double product = MedianSeconds(budget, device, [&] { torch::mm(m, m); });
  return {2.0 * 16 * 128 * 32 * 32 * 128 * 9 / conv / 1e9, 2.0 * 1024 * 1024 * 1024 / product / 1e9};
}

struct NetworkTimes {
  double forward, both;  // seconds for the batch
  double flops;          // of one forward pass
};

NetworkTimes MeasureNetwork(const Model& model, int64_t batch, double budget) {
  const Denoiser& denoiser = *model.denoiser;
  const Tensor x = torch::randn({batch, model.shape[0], model.shape[1], model.shape[2]}, model.device);
  Condition condition;
  if (model.classes > 0) condition.labels = torch::zeros({batch}, torch::kInt64).to(model.device);
  const NoiseLevel at{Scalar(0.5), model.schedule->Alpha(Scalar(0.5)), model.schedule->Sigma(Scalar(0.5))};
  NetworkTimes times{};
  {
    torch::NoGradGuard no_grad;
    const nn::FlopCounter counter;  // of this thread, so of one image, which no thread shares
    Condition one = condition;
    if (one.labels.defined()) one.labels = one.labels.slice(0, 0, 1);
    denoiser.Predict(x.slice(0, 0, 1), at, one);
    times.flops = counter.flops() * static_cast<double>(batch);
  }
  times.forward = MedianSeconds(budget, model.device, [&] {
    torch::NoGradGuard no_grad;
    denoiser.Predict(x, at, condition);
  });
  times.both = MedianSeconds(budget, model.device, [&] {
    const Tensor input = x.detach().requires_grad_();
    denoiser.Predict(input, at, condition).sum().backward();
  });
  return times;
}

// A network that costs nothing: what is left is the sampler.
class FreeDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override { return x; }
};

struct BenchSettings {
  ModelRequest model;
  int64_t batch;
  double seconds;
  bool json;
};

void RunBench(const BenchSettings& s) {
  UseTf32(false);  // what is called float32 here is
  const Model model = s.model.Open();
  GAS_CHECK(model.parameters > 0, Errc::kBadOption, "model.name = ", s.model.name,
            ", must be a network that runs in this program");
  const int64_t batch = s.batch;
  const double budget = s.seconds;
  nlohmann::json json = {{"threads", torch::get_num_threads()}, {"batch", batch}, {"model", model.name}};
  std::string text = fmt::format("{} threads, {} at batch {}\n", torch::get_num_threads(), model.name, batch);
  for (const bool bfloat16 : {false, true}) {
    const char* name = bfloat16 ? "bfloat16" : "float32";
    const Peaks peaks = MeasurePeaks(bfloat16 ? torch::kBFloat16 : torch::kFloat32, model.device, budget);
    const Model network = OpenModel(s.model.name, {.bfloat16 = bfloat16, .device = model.device});
    const NetworkTimes times = MeasureNetwork(network, batch, budget);
    const double forward = times.flops / times.forward / 1e9;
    // Backward with respect to the input alone: each product once more.
    const double both = 2 * times.flops / times.both / 1e9;
    const double images = static_cast<double>(batch) / times.forward;
    json[name] = {{"convolution_gflops", peaks.convolution},
                  {"product_gflops", peaks.product},
                  {"forward_gflops", forward},
                  {"forward_backward_gflops", both},
                  {"images_per_second", images}};
    text += fmt::format(
        "{:<9} peak: convolution {:.0f} GFLOP/s, matrix product {:.0f} GFLOP/s\n"
        "          network forward {:.0f} GFLOP/s ({:.0f} % of the convolution peak, {:.0f} images/s), "
        "forward + backward {:.0f} GFLOP/s ({:.0f} %)\n",
        name, peaks.convolution, peaks.product, forward, 100 * forward / peaks.convolution, images, both,
        100 * both / peaks.convolution);
  }
  const int64_t steps = 10;
  const StepTable table = MakeSolverTable("dpmpp-3m", *model.schedule, "", steps, kDefaultTEps);
  const Tensor noise = torch::randn({batch, model.shape[0], model.shape[1], model.shape[2]}, model.device);
  torch::NoGradGuard no_grad;
  const double step =
      MedianSeconds(budget, model.device, [&] { RunTable(table, FreeDenoiser(), noise, {}); }) / steps;
  json["solver_step_microseconds"] = step * 1e6;
  text += fmt::format("solver overhead per step (dpmpp-3m, batch {}): {:.0f} us\n", batch, step * 1e6);
  std::cout << (s.json ? json.dump(1) + "\n" : text);
}

Work PlanBench(const Options& o) {
  const BenchSettings s{.model = {o.Text("model.name"), {.device = ReadDevice(o)}},
                        .batch = o.Int("bench.batch"),
                        .seconds = o.Real("bench.seconds"),
                        .json = o.Flag("bench.json")};
  return [s] { RunBench(s); };
}

}  // namespace

Verb BenchVerb() {
  return {"bench", "Measures this machine's peak, and how near the network and the sampler come to it.",
          "gas bench", BenchRows(), PlanBench};
}

}  // namespace gas::cli
