#include "gas/teacher/image_start.h"

#include "gas/core/error.h"
#include "gas/io/png.h"

namespace gas {
namespace {

// [1,C,H,W] in [-1,1]; a grey image for a model of colours has three equal ones.
Tensor ReadImageFor(const Model& model, const std::filesystem::path& path) {
  const Tensor bytes = ReadPng(path).unsqueeze(0);
  const int64_t channels = model.codec ? 3 : model.shape[0], found = bytes.size(1);
  GAS_CHECK(found == channels || found == 1, Errc::kBadOption, path.string(), ": an image of ", found,
            " channels, must be one of ", channels, " for model ", model.name);
  return bytes.expand({1, channels, bytes.size(2), bytes.size(3)}).to(torch::kFloat32) / 127.5 - 1;
}

}  // namespace

Tensor StateOfImage(const Model& model, const std::filesystem::path& path) {
  const torch::NoGradGuard no_gradient;
  const bool pixels = model.shape.size() == 3 && (model.shape[0] == 1 || model.shape[0] == 3);
  GAS_CHECK(model.codec || pixels, Errc::kBadOption, path.string(), ": states of shape ",
            at::IntArrayRef(model.shape), " of model ", model.name,
            " are no images, and it has nothing that encodes images");
  const Tensor image = ReadImageFor(model, path).to(model.device);
  const Tensor state = model.codec ? model.codec->Encode(image) : image;
  // Latents are smaller than images by the same factor on both sides.
  const int64_t factor = state.size(2) > 0 ? image.size(2) / state.size(2) : 1;
  GAS_CHECK(state.sizes().slice(1) == at::IntArrayRef(model.shape), Errc::kBadOption, path.string(), ": ",
            image.size(3), "x", image.size(2), " pixels, must be ", model.shape[2] * factor, "x",
            model.shape[1] * factor, ", the size of model ", model.name);
  return state;
}

void SampleFromImage(const Model& model, const StepTable& table, const Tensor& state,
                     std::span<const Request> requests, const SamplingOptions& options,
                     const std::function<void(const SampleBatch&)>& use) {
  const double alpha = table.alpha[0].item<double>(), sigma = table.sigma[0].item<double>();
  const Tensor clean = alpha * state.cpu();
  const auto noise_of = [&](std::span<const Request> some) {
    std::vector<Seed> seeds;
    for (const Request& request : some) seeds.push_back(request.seed);
    return NoiseFor(seeds, model.shape);
  };
  const auto inputs = [&](int64_t begin, int64_t end) {
    const auto some = requests.subspan(begin, end - begin);
    SampleInputs now{.noise = clean + sigma * noise_of(some), .condition = model.conditioner->Of(some)};
    for (const Request& request : some) now.seeds.push_back(request.seed);
    return now;
  };
  SampleInBatches(
      table, *model.denoiser, model.device, static_cast<int64_t>(requests.size()), inputs, options,
      [&](SampleBatch batch) {  // which holds the first states where others hold noise
        batch.samples.noise = noise_of(requests.subspan(batch.begin, batch.samples.noise.size(0)));
        use(batch);
      });
}

}  // namespace gas
