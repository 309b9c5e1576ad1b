#include "gas/eval/speed.h"

#include <chrono>

#include <fmt/format.h>
#include <torch/cuda.h>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/seeds.h"
#include "gas/models/network_input.h"
#include "gas/nn/flops.h"
#include "gas/nn/product_dtype.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

constexpr double kGiga = 1e9;

// The median of repeated runs, in seconds.
double MedianSeconds(double budget, torch::Device device, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&] {
    CheckInterrupt();
    const auto start = Clock::now();
    work();
    if (device.is_cuda()) torch::cuda::synchronize();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  timed();  // first calls compile kernels and fill caches
  std::vector<double> seconds;
  for (double used = 0; used < budget || seconds.size() < 3; used += seconds.back()) {
    seconds.push_back(timed());
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

// 3x3 convolutions of 128 channels, and products of 1024x1024 matrices: what libraries are tuned for.
void MeasurePeaks(NetworkSpeed& speed, torch::Dtype dtype, torch::Device device, double budget) {
  const torch::NoGradGuard no_grad;
  const auto layout = torch::MemoryFormat::ChannelsLast;
  const Tensor x = torch::randn({16, 128, 32, 32}, device).to(dtype).contiguous(layout);
  const Tensor w = torch::randn({128, 128, 3, 3}, device).to(dtype).contiguous(layout);
  const double convolution = MedianSeconds(budget, device, [&] { torch::conv2d(x, w, {}, 1, 1); });
  speed.convolution_peak = 2.0 * 16 * 128 * 32 * 32 * 128 * 9 / convolution / kGiga;

  const Tensor m = torch::randn({1024, 1024}, device).to(dtype);
  const double product = MedianSeconds(budget, device, [&] { torch::mm(m, m); });
  speed.product_peak = 2.0 * 1024 * 1024 * 1024 / product / kGiga;
}

// Floating point operations of a forward pass for one image.
double FlopsOfOne(const Model& model) {
  const torch::NoGradGuard no_grad;
  const NetworkInput one = InputFor(model, 1);
  const nn::FlopCounter counter;  // counts this thread's, and no other takes part of one image
  model.denoiser->Predict(one.state, one.at, one.condition);
  return counter.flops();
}

void MeasureNetwork(NetworkSpeed& speed, const Model& model, const SpeedOptions& options) {
  const NetworkInput input = InputFor(model, options.batch);
  const double flops = FlopsOfOne(model) * static_cast<double>(options.batch);

  const double forward = MedianSeconds(options.seconds, model.device, [&] {
    const torch::NoGradGuard no_grad;
    model.denoiser->Predict(input.state, input.at, input.condition);
  });
  const double both = MedianSeconds(options.seconds, model.device, [&] {
    const Tensor state = input.state.detach().requires_grad_();
    model.denoiser->Predict(state, input.at, input.condition).sum().backward();
  });
  speed.forward = flops / forward / kGiga;
  // Backward with respect to the input alone: each product once more.
  speed.forward_backward = 2 * flops / both / kGiga;
  speed.images_per_second = static_cast<double>(options.batch) / forward;
}

// A network that costs nothing: what is left is the sampler.
class FreeDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override { return x; }
};

double SolverStepSeconds(const Model& model, const SpeedOptions& options) {
  constexpr int64_t kSteps = 10;
  const torch::NoGradGuard no_grad;
  const StepTable table = MakeSolverTable("dpmpp-3m", *model.schedule, "", kSteps, model.t_eps);
  const Tensor noise = NoiseFor(SeedRange(0, options.batch), model.shape).to(model.device);
  return MedianSeconds(options.seconds, model.device, [&] { RunTable(table, FreeDenoiser(), noise, {}); }) /
         kSteps;
}

}  // namespace

SpeedRecord MeasureSpeed(const std::string& name, const ModelOptions& model_options,
                         const SpeedOptions& options, const nn::PlanOptions& convolution) {
  ModelOptions of_dtype = model_options;
  SpeedRecord record{.batch = options.batch, .threads = torch::get_num_threads()};
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16}) {
    of_dtype.dtype = dtype;
    const Model model = OpenModel(name, of_dtype);
    GAS_CHECK(model.parameters > 0, Errc::kBadOption, "model.name = ", name,
              ", must be a network that runs in this program");
    record.model = model.name;
    const bool exact = dtype == torch::kFloat32;
    const auto chosen = ChooseConvolutions(model, dtype, convolution);
    if (exact) record.convolutions = chosen;
    NetworkSpeed& speed = record.networks.emplace_back();
    speed.dtype = nn::kProductDtypeNames.NameOf(dtype);
    MeasurePeaks(speed, dtype, model.device, options.seconds);
    MeasureNetwork(speed, model, options);
    if (exact) record.solver_step_seconds = SolverStepSeconds(model, options);
  }
  return record;
}

nlohmann::json SpeedToJson(const SpeedRecord& record) {
  nlohmann::json json = {{"threads", record.threads},
                         {"batch", record.batch},
                         {"model", record.model},
                         {"solver_step_microseconds", record.solver_step_seconds * 1e6}};
  if (!record.convolutions.empty()) json["convolutions"] = nn::PlanText(record.convolutions);
  for (const NetworkSpeed& speed : record.networks) {
    json[speed.dtype] = {{"convolution_gflops", speed.convolution_peak},
                         {"product_gflops", speed.product_peak},
                         {"forward_gflops", speed.forward},
                         {"forward_backward_gflops", speed.forward_backward},
                         {"images_per_second", speed.images_per_second}};
  }
  return json;
}

std::string SpeedText(const SpeedRecord& record) {
  std::string text = fmt::format("{} threads, {} at batch {}\n", record.threads, record.model, record.batch);
  for (const NetworkSpeed& speed : record.networks) {
    const auto of_peak = [&](double value) { return 100 * value / speed.convolution_peak; };
    text += fmt::format(
        "{:<9} peak: convolution {:.0f} GFLOP/s, matrix product {:.0f} GFLOP/s\n"
        "          network forward {:.0f} GFLOP/s ({:.0f} % of the convolution peak, {:.0f} images/s), "
        "forward + backward {:.0f} GFLOP/s ({:.0f} %)\n",
        speed.dtype, speed.convolution_peak, speed.product_peak, speed.forward, of_peak(speed.forward),
        speed.images_per_second, speed.forward_backward, of_peak(speed.forward_backward));
  }
  if (!record.convolutions.empty()) text += ChoiceTable(record.convolutions);
  return text + fmt::format("solver overhead per step (dpmpp-3m, batch {}): {:.0f} us\n", record.batch,
                            record.solver_step_seconds * 1e6);
}

}  // namespace gas
