// Times a model's network by batch and dtype on a device, with its memory and its largest difference to the
// CPU in float32, as JSON lines, each written when it is known. What tools/gpu_check.sh runs on machines with
// a GPU.
//
//   gas_network_report MODEL DEVICE [BATCHES [SECONDS]]
//     MODEL: as for `gas sample --model`; BATCHES: "1,16,256"
//   gas_network_report --make edm-cifar10|ldm-imagenet|ldm-block FILE
//     writes a network with random weights: EDM's for CIFAR-10, latent diffusion's for ImageNet, or a U-Net
//     of 320 channels at 32x32 alone, with attention, as they are in Stable Diffusion. Those of latent
//     diffusion have a .yaml beside them.
//
// SECONDS is the time after which no further measurement is begun.
#include <chrono>
#include <iostream>
#include <sstream>

#include <torch/cuda.h>

#include "gas/core/device_memory.h"
#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/autoencoder/autoencoder.h"
#include "gas/models/compvis/config.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/edm/precond.h"
#include "gas/models/model.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/nn/product_dtype.h"
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

// What cin256-v2.yaml of CompVis/latent-diffusion says of the networks; JSON is YAML.
constexpr const char* kLdmImageNet = R"({"model": {
  "target": "ldm.models.diffusion.ddpm.LatentDiffusion",
  "params": {
    "linear_start": 0.0015, "linear_end": 0.0195, "image_size": 64, "channels": 3, "use_ema": false,
    "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": {
      "image_size": 64, "in_channels": 3, "out_channels": 3, "model_channels": 192,
      "attention_resolutions": [8, 4, 2], "num_res_blocks": 2, "channel_mult": [1, 2, 3, 5], "num_heads": 1,
      "use_spatial_transformer": true, "transformer_depth": 1, "context_dim": 512}},
    "first_stage_config": {"target": "ldm.models.autoencoder.VQModelInterface", "params": {
      "embed_dim": 3, "n_embed": 8192,
      "ddconfig": {"double_z": false, "z_channels": 3, "resolution": 256, "in_channels": 3, "out_ch": 3,
                   "ch": 128, "ch_mult": [1, 2, 4], "num_res_blocks": 2, "attn_resolutions": [],
                   "dropout": 0.0},
      "lossconfig": {"target": "torch.nn.Identity"}}},
    "cond_stage_config": {"target": "ldm.modules.encoders.modules.ClassEmbedder",
                          "params": {"n_classes": 1001, "embed_dim": 512, "key": "class_label"}}}}})";

// One level of 320 channels at 32x32 with transformers, and a first stage that is small, for it is not timed.
constexpr const char* kLdmBlock = R"({"model": {
  "target": "ldm.models.diffusion.ddpm.LatentDiffusion",
  "params": {
    "linear_start": 0.0015, "linear_end": 0.0195, "image_size": 32, "channels": 4, "use_ema": false,
    "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": {
      "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
      "attention_resolutions": [1], "num_res_blocks": 1, "channel_mult": [1], "num_heads": 8,
      "use_spatial_transformer": true, "transformer_depth": 1, "context_dim": 512}},
    "first_stage_config": {"target": "ldm.models.autoencoder.VQModelInterface", "params": {
      "embed_dim": 4, "n_embed": 16,
      "ddconfig": {"double_z": false, "z_channels": 4, "resolution": 32, "in_channels": 3, "out_ch": 3,
                   "ch": 32, "ch_mult": [1], "num_res_blocks": 1, "attn_resolutions": [],
                   "dropout": 0.0},
      "lossconfig": {"target": "torch.nn.Identity"}}},
    "cond_stage_config": {"target": "ldm.modules.encoders.modules.ClassEmbedder",
                          "params": {"n_classes": 1001, "embed_dim": 512, "key": "class_label"}}}}})";

// Every layer is random and keeps the size of what it is given, so that an error anywhere shows in the
// output.
void Randomise(torch::nn::Module& network) {
  const torch::NoGradGuard no_grad;
  for (Tensor& weight : network.parameters()) {
    if (weight.dim() > 1) weight.normal_(0, 1 / std::sqrt(static_cast<double>(weight[0].numel())));
  }
}

void MakeEdm(const std::string& path) {
  const edm::PrecondConfig config = Cifar10();
  edm::Precond network(config);
  Randomise(network);
  edm::WriteEdmModel(path, config, StateDict(network), {});
}

void MakeLdm(const std::string& path, std::string_view yaml) {
  const compvis::Config config = compvis::ConfigFromJson("the configuration", nlohmann::json::parse(yaml));
  openai_unet::UNet unet(config.network);
  autoencoder::Autoencoder first_stage(config.first_stage);
  Randomise(unet);
  Randomise(first_stage);
  std::map<std::string, Tensor> weights = {
      {"cond_stage_model.embedding.weight",
       torch::randn({config.embedded_classes, config.network.context_dim})}};
  for (const auto& [name, weight] : StateDict(unet))
    weights["model.diffusion_model." + name] = weight.detach().contiguous();
  for (const auto& [name, weight] : StateDict(first_stage))
    weights["first_stage_model." + name] = weight.detach().contiguous();
  WriteSafetensors(path, weights, {});
  WriteFile(std::filesystem::path(path).replace_extension(".yaml"), std::span(yaml.data(), yaml.size()));
}

void Make(const std::string& name, const std::string& path) {
  torch::manual_seed(0);
  if (name == "edm-cifar10") return MakeEdm(path);
  if (name == "ldm-block") return MakeLdm(path, kLdmBlock);
  GAS_CHECK(name == "ldm-imagenet", Errc::kBadOption, "network ", name,
            ": unknown, must be edm-cifar10, ldm-imagenet or ldm-block");
  MakeLdm(path, kLdmImageNet);
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
  bool tf32;
  torch::Dtype products;
};

// One model opened for a setting.
class Measured {
 public:
  Measured(const std::string& name, torch::Device device, const Setting& setting)
      : model_(OpenModel(name, {.dtype = setting.products, .device = device})), tf32_(setting.tf32) {}

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
  const Setting exact = {"float32", false, torch::kFloat32};
  const Measured reference(name, torch::kCPU, exact);
  const Tensor x = reference.States(2), expected = reference.Predict(x);
  std::vector<Setting> settings = {exact};
  if (device.is_cuda()) settings.push_back({"tf32", true, torch::kFloat32});
  settings.push_back({"bfloat16", false, torch::kBFloat16});
  if (nn::HasConvolutions(torch::kFloat16, device)) settings.push_back({"float16", false, torch::kFloat16});
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
            "usage: gas_network_report MODEL DEVICE [BATCHES [SECONDS]], or "
            "--make edm-cifar10|ldm-imagenet|ldm-block FILE");
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
