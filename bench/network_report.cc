// Times a model's network by batch and dtype on a device, with its memory and its largest difference to the
// CPU in float32, as JSON lines, each written when it is known. What tools/gpu_check.sh runs on machines with
// a GPU.
//
//   gas_network_report MODEL DEVICE [BATCHES [SECONDS]]   MODEL: as for `gas sample --model`; BATCHES:
//   "1,16,256" gas_network_report --make edm-cifar10 FILE            writes EDM's CIFAR-10 network with
//   random weights
//
// SECONDS is the time after which no further measurement is begun.
#include <chrono>
#include <iostream>
#include <sstream>

#include <torch/cuda.h>

#include "gas/core/device_memory.h"
#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/edm/precond.h"
#include "gas/models/model.h"
#include "gas/nn/state_dict.h"

namespace gas {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Wait(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize();
}

// DDPM++ as trained on CIFAR-10 without classes (Karras et al. 2022, table 7 and their code's options for
// it).
edm::PrecondConfig Cifar10() {
  edm::PrecondConfig config;
  config.sigma_min = 0.002;
  config.sigma_max = 80;
  config.network.channel_mult = {2, 2, 2};
  config.network.augment_dim = 9;
  config.network.dropout = 0.13;
  return config;
}

// Every layer is random and keeps the size of what it is given, so that an error anywhere shows in the
// output.
void Make(const std::string& name, const std::string& path) {
  GAS_CHECK(name == "edm-cifar10", Errc::kBadOption, "network ", name, ": unknown, must be edm-cifar10");
  const edm::PrecondConfig config = Cifar10();
  edm::Precond network(config);
  torch::NoGradGuard no_grad;
  torch::manual_seed(0);
  for (Tensor& weight : network.parameters()) {
    if (weight.dim() > 1) weight.normal_(0, 1 / std::sqrt(static_cast<double>(weight[0].numel())));
  }
  edm::WriteEdmModel(path, config, StateDict(network), {});
}

// The median of repeated runs after one that is not counted, in seconds.
double Median(torch::Device device, const std::function<void()>& work) {
  const auto timed = [&] {
    const auto start = Clock::now();
    work();
    Wait(device);
    return SecondsSince(start);
  };
  timed();
  std::vector<double> seconds;
  for (double used = 0; seconds.size() < 3 || (used < 0.5 && seconds.size() < 50); used += seconds.back())
    seconds.push_back(timed());
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

struct Setting {
  const char* dtype;
  bool tf32, bfloat16;
};

// One model opened for a setting.
class Measured {
 public:
  Measured(const std::string& name, torch::Device device, const Setting& setting)
      : model_(OpenModel(name, {.bfloat16 = setting.bfloat16, .device = device})), tf32_(setting.tf32) {}

  // The same states for every device.
  Tensor States(int64_t batch) const {
    std::vector<int64_t> shape = {batch};
    shape.insert(shape.end(), model_.shape.begin(), model_.shape.end());
    return NoiseFor(SeedRange(0, batch), at::IntArrayRef(shape).slice(1));
  }

  Tensor Predict(const Tensor& x) const {
    UseTf32(tf32_);
    const Tensor t = Scalar(0.5);
    const NoiseLevel at{t, model_.schedule->Alpha(t), model_.schedule->Sigma(t)};
    Condition condition;
    if (model_.classes > 0) condition.labels = torch::zeros({x.size(0)}, torch::kInt64).to(x.device());
    return model_.denoiser->Predict(x, at, condition);
  }

  nlohmann::json Times(int64_t batch) const {
    const Tensor x = States(batch).to(model_.device);
    nlohmann::json line;
    ResetPeakDeviceMemory(model_.device);
    {
      const torch::NoGradGuard no_grad;
      line["forward_seconds"] = Median(model_.device, [&] { Predict(x); });
    }
    line["forward_mebibytes"] = PeakDeviceMebibytes(model_.device);
    line["images_per_second"] = static_cast<double>(batch) / line["forward_seconds"].get<double>();
    ResetPeakDeviceMemory(model_.device);
    line["forward_backward_seconds"] = Median(model_.device, [&] {
      const Tensor input = x.detach().requires_grad_();
      Predict(input).sum().backward();
    });
    line["forward_backward_mebibytes"] = PeakDeviceMebibytes(model_.device);
    return line;
  }

 private:
  Model model_;
  bool tf32_;
};

void Report(const std::string& name, const std::string& device_name, const std::string& batches,
            double seconds) {
  const auto start = Clock::now();
  const torch::Device device(device_name);
  const auto write = [&](nlohmann::json line) {
    line["network"] = name;
    std::cout << line.dump() << std::endl;
  };
  torch::NoGradGuard no_grad;
  const Setting exact = {"float32", false, false};
  const Measured reference(name, torch::kCPU, exact);
  const Tensor x = reference.States(2), expected = reference.Predict(x);
  std::vector<Setting> settings = {exact};
  if (device.is_cuda()) settings.push_back({"tf32", true, false});
  settings.push_back({"bfloat16", false, true});
  std::vector<int64_t> sizes;
  std::istringstream list(batches);
  for (std::string item; std::getline(list, item, ',');) sizes.push_back(std::stoll(item));
  for (const Setting& setting : settings) {
    const Measured there(name, device, setting);
    const Tensor difference = there.Predict(x.to(device)).cpu() - expected;
    write({{"dtype", setting.dtype},
           {"largest_difference_to_cpu", difference.abs().max().item<double>()},
           {"largest_entry", expected.abs().max().item<double>()}});
  }
  torch::AutoGradMode with_gradient(true);
  for (const Setting& setting : settings) {
    const Measured there(name, device, setting);
    for (const int64_t batch : sizes) {
      if (SecondsSince(start) > seconds) return write({{"stopped", "out of time"}});
      nlohmann::json line = there.Times(batch);
      line["dtype"] = setting.dtype;
      line["batch"] = batch;
      write(std::move(line));
    }
  }
}

int Main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const size_t count = arguments.size();
  if (count == 3 && arguments[0] == "--make") {
    Make(arguments[1], arguments[2]);
    return 0;
  }
  GAS_CHECK(count >= 2 && count <= 4, Errc::kBadOption,
            "usage: gas_network_report MODEL DEVICE [BATCHES [SECONDS]], or --make edm-cifar10 FILE");
  Report(arguments[0], arguments[1], count > 2 ? arguments[2] : "1,16,64,256",
         count > 3 ? std::stod(arguments[3]) : 60);
  return 0;
}

}  // namespace
}  // namespace gas

int main(int argc, char** argv) try { return gas::Main(argc, argv); } catch (const gas::Error& e) {
  std::cerr << "gas_network_report: " << e.what() << '\n';
  return static_cast<int>(e.code());
}
