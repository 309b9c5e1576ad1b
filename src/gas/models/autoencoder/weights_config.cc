#include "gas/models/autoencoder/weights_config.h"

#include "gas/io/tensor_shapes.h"

namespace gas::autoencoder {
namespace {

constexpr int64_t kMostLevels = 10;

}  // namespace

AutoencoderConfig KlConfigOfWeights(const TensorFile& file, const std::string& prefix) {
  const TensorShapes shapes(file, prefix);
  const auto shape = [&](const std::string& name) { return shapes.OfAtLeast(name, 2); };
  const auto block = [](int64_t level, int64_t i) {
    return "encoder.down." + std::to_string(level) + ".block." + std::to_string(i) + ".conv1.weight";
  };
  AutoencoderConfig c{.kind = Kind::kKl};
  c.in_channels = shape("encoder.conv_in.weight")[1];
  c.width = shape("encoder.conv_in.weight")[0];
  c.out_channels = shape("decoder.conv_out.weight")[0];
  c.inner_channels = shape("post_quant_conv.weight")[0];
  c.latent_channels = shape("post_quant_conv.weight")[1];
  c.blocks = 0;
  while (shapes.Has(block(0, c.blocks))) ++c.blocks;
  c.channel_mult.clear();
  for (int64_t level = 0; level < kMostLevels && shapes.Has(block(level, 0)); ++level) {
    c.channel_mult.push_back(shape(block(level, 0))[0] / c.width);
  }
  Validate(file.name(), c);
  return c;
}

}  // namespace gas::autoencoder
