// What decoding a large image holds at once.
#include "gas/core/allocation_meter.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "support/expect.h"

namespace gas {
namespace {

using autoencoder::Autoencoder;
using autoencoder::AutoencoderCodec;

// Stable Diffusion's decoder at a quarter of its width. The most that lives at once is at full resolution,
// where a block has an input of 2 x 32 channels and gives 32: its input, what stands beside it and its first
// convolution's output, four times 32 channels; and strips.
TEST(AutoencoderMemory, AMillionPixelsTakeFourTimesTheLastLevelsChannels) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  const auto network = std::make_shared<Autoencoder>(autoencoder::AutoencoderConfig{.width = 32});
  const AutoencoderCodec codec(network, {});
  const Tensor latents = torch::randn({1, 4, 128, 128});
  constexpr int64_t kLevel = int64_t{32} * 1024 * 1024 * sizeof(float);
  const int before = torch::get_num_threads();
  for (const int threads : {2, 8}) {  // normalisations of one image have another kernel with many
    SCOPED_TRACE(threads);
    torch::set_num_threads(threads);
    const AllocationMeter meter;
    const Tensor image = codec.Decode(latents);
    EXPECT_EQ(image.sizes(), at::IntArrayRef({1, 3, 1024, 1024}));
    EXPECT_LT(meter.peak_bytes(), 5 * kLevel);
  }
  torch::set_num_threads(before);
}

}  // namespace
}  // namespace gas
