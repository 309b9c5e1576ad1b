#include "gas/models/autoencoder/weights_config.h"

#include "gas/core/error.h"

namespace gas::autoencoder {
namespace {

constexpr int64_t kMostLevels = 10;

}  // namespace

AutoencoderConfig KlConfigOfWeights(const TensorFile& file, const std::string& prefix) {
  const auto has = [&](const std::string& name) { return file.tensors().contains(prefix + name); };
  const auto shape = [&](const std::string& name) -> const std::vector<int64_t>& {
    const auto found = file.tensors().find(prefix + name);
    GAS_CHECK(found != file.tensors().end(), Errc::kBadFile, file.name(), ": tensor ", prefix + name,
              " is missing");
    const std::vector<int64_t>& sizes = found->second.shape;
    GAS_CHECK(sizes.size() >= 2 && sizes[0] > 0 && sizes[1] > 0, Errc::kBadFile, file.name(), ": tensor ",
              prefix + name, " has shape ", at::IntArrayRef(sizes),
              ", must have 2 dimensions or more, none empty");
    return sizes;
  };
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
  while (has(block(0, c.blocks))) ++c.blocks;
  c.channel_mult.clear();
  for (int64_t level = 0; level < kMostLevels && has(block(level, 0)); ++level) {
    c.channel_mult.push_back(shape(block(level, 0))[0] / c.width);
  }
  Validate(file.name(), c);
  return c;
}

}  // namespace gas::autoencoder
