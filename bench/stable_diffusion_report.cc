// Stable Diffusion 1.5 at full size with random weights: time and memory of one evaluation of its U-Net for
// an image of 512 x 512, and of decoding one of 1024 x 1024. A JSON line; nothing is read or written.
//
//   gas_stable_diffusion_report unet float32 | unet bfloat16 | decode float32 | decode bfloat16   [THREADS]
#include <sys/resource.h>

#include <chrono>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gas/core/allocation_meter.h"
#include "gas/core/error.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "gas/models/openai_unet/unet_denoiser.h"
#include "gas/nn/product_dtype.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"

namespace gas {
namespace {

constexpr double kMebibyte = 1 << 20;

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double PeakResidentMebibytes() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;  // which Linux gives in KiB
}

// Every layer is random and keeps the size of what it is given.
void Randomise(torch::nn::Module& network) {
  const torch::NoGradGuard no_grad;
  for (Tensor& weight : network.parameters()) {
    if (weight.dim() > 1) weight.normal_(0, 1 / std::sqrt(static_cast<double>(weight[0].numel())));
  }
  UseChannelsLast(network);
}

// Once to warm up, once measured.
nlohmann::json Measured(const std::function<void()>& work) {
  const torch::NoGradGuard no_grad;
  work();
  const AllocationMeter meter;
  const auto start = std::chrono::steady_clock::now();
  const double cpu = CpuSeconds();
  work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {{"seconds", wall.count()},
          {"cpu_seconds", CpuSeconds() - cpu},
          {"peak_mebibytes_beside_weights", static_cast<double>(meter.peak_bytes()) / kMebibyte},
          {"peak_resident_mebibytes", PeakResidentMebibytes()}};
}

nlohmann::json UNetReport(torch::Dtype dtype) {
  openai_unet::UNetConfig config;
  config.in_channels = config.out_channels = 4;
  config.model_channels = 320;
  config.channel_mult = {1, 2, 4, 4};
  config.num_res_blocks = 2;
  config.attention_resolutions = {1, 2, 4};
  config.num_heads = 8;
  config.use_spatial_transformer = true;
  config.context_dim = 768;
  const auto network = std::make_shared<openai_unet::UNet>(config);
  Randomise(*network);
  network->eval();
  const openai_unet::UNetDenoiser denoiser(network, {}, PredictionType::kNoise, dtype);
  const Tensor x = torch::randn({1, 4, 64, 64});
  const Condition text{.tensors = {{"text", torch::randn({1, 77, 768})}}};
  nlohmann::json line = Measured([&] { denoiser.Predict(x, {Scalar(0.5), Scalar(0.7), Scalar(0.7)}, text); });
  line["parameters"] = nn::ParameterCount(*network);
  return line;
}

nlohmann::json DecodeReport(torch::Dtype dtype) {
  const auto network = std::make_shared<autoencoder::Autoencoder>(autoencoder::AutoencoderConfig{});
  Randomise(*network);
  const autoencoder::AutoencoderCodec codec(network, {.scale = 0.18215, .dtype = dtype});
  const Tensor latents = torch::randn({1, 4, 128, 128});
  nlohmann::json line = Measured([&] { codec.Decode(latents); });
  line["parameters"] = nn::ParameterCount(*network);
  return line;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool known = (arguments.size() == 2 || arguments.size() == 3) &&
                     (arguments[0] == "unet" || arguments[0] == "decode") &&
                     (arguments[1] == "float32" || arguments[1] == "bfloat16");
  GAS_CHECK(known, Errc::kBadOption,
            "usage: gas_stable_diffusion_report unet|decode float32|bfloat16 [THREADS]");
  const torch::Dtype dtype = nn::kProductDtypeNames.FromName(arguments[1]);
  nn::CheckProductDtype(dtype, torch::kCPU);
  if (arguments.size() == 3) torch::set_num_threads(std::stoi(arguments[2]));
  torch::manual_seed(0);
  nlohmann::json line = arguments[0] == "unet" ? UNetReport(dtype) : DecodeReport(dtype);
  line["what"] = arguments[0];
  line["dtype"] = arguments[1];
  std::cout << line.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace gas

int main(int argc, char** argv) try { return gas::Main(argc, argv); } catch (const gas::Error& e) {
  std::cerr << "gas_stable_diffusion_report: " << e.what() << '\n';
  return static_cast<int>(e.code());
}
