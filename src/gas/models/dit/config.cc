#include "gas/models/dit/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/io/tensor_shapes.h"

namespace gas::dit {
namespace {

constexpr int64_t kMostBlocks = 256;
constexpr int64_t kImageNetClasses = 1000;

// DiT_models of facebookresearch/DiT and SiT_models of willisma/SiT.
struct Published {
  const char* size;
  int64_t depth, width, heads;
};
constexpr Published kPublished[] = {
    {"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}};

std::string BlockTensor(int64_t block, const char* rest) {
  return "blocks." + std::to_string(block) + "." + rest;
}

// The side of a square of so many tokens; 0 if they are none.
int64_t SideOf(int64_t tokens) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(tokens))));
  return side * side == tokens ? side : 0;
}

}  // namespace

bool HasNames(const TensorFile& weights) {
  return std::ranges::all_of(
      std::initializer_list<const char*>{"x_embedder.proj.weight", "t_embedder.mlp.0.weight",
                                         "y_embedder.embedding_table.weight",
                                         "blocks.0.adaLN_modulation.1.weight", "final_layer.linear.weight"},
      [&](const char* name) { return weights.tensors().contains(name); });
}

NetworkConfig NetworkOfWeights(const TensorFile& weights) {
  const TensorShapes shapes(weights, "");
  NetworkConfig c;
  const std::vector<int64_t>& patches = shapes.OfAtLeast("x_embedder.proj.weight", 4);
  GAS_CHECK(patches.size() == 4 && patches[2] == patches[3], Errc::kBadFile, weights.name(),
            ": tensor x_embedder.proj.weight has shape ", at::IntArrayRef(patches),
            ", must be [width,channels,P,P] for patches of P x P");
  c.width = patches[0];
  c.in_channels = patches[1];
  c.patch_size = patches[2];
  const std::vector<int64_t>& positions = shapes.OfAtLeast("pos_embed", 3);
  const int64_t side = SideOf(positions[1]);
  GAS_CHECK(positions.size() == 3 && side > 0, Errc::kBadFile, weights.name(),
            ": tensor pos_embed has shape ", at::IntArrayRef(positions),
            ", must be [1,N,width] for a square of N tokens");
  c.input_size = side * c.patch_size;
  c.depth = 0;
  while (c.depth < kMostBlocks && shapes.Has(BlockTensor(c.depth, "attn.qkv.weight"))) ++c.depth;
  c.inner_width = shapes.OfMatrix("blocks.0.mlp.fc1.weight")[0];
  c.time_channels = shapes.OfMatrix("t_embedder.mlp.0.weight")[1];
  c.label_rows = shapes.OfMatrix("y_embedder.embedding_table.weight")[0];
  const int64_t numbers = shapes.OfMatrix("final_layer.linear.weight")[0], area = c.patch_size * c.patch_size;
  c.out_channels = numbers / area;
  GAS_CHECK(numbers % area == 0, Errc::kBadFile, weights.name(), ": tensor final_layer.linear.weight has ",
            numbers, " rows, must be a multiple of ", area, ", the numbers in a patch");
  c.heads = PublishedHeads(c.depth, c.width);
  return c;
}

int64_t PublishedHeads(int64_t depth, int64_t width) {
  for (const Published& row : kPublished) {
    if (row.depth == depth && row.width == width) return row.heads;
  }
  return 0;
}

std::optional<ModelWord> ParseModelWord(std::string_view text) {
  ModelWord word;
  if (!text.starts_with("DiT") && !text.starts_with("SiT")) return std::nullopt;
  word.kind = text.starts_with("DiT") ? Kind::kDit : Kind::kSit;
  text.remove_prefix(3);
  if (text.empty()) return word;
  const size_t slash = text.find('/');
  if (!text.starts_with("-") || slash == text.npos) return std::nullopt;
  const std::string_view size = text.substr(1, slash - 1), patch = text.substr(slash + 1);
  const auto* row = std::ranges::find(kPublished, size, &Published::size);
  NetworkConfig sizes;
  const auto [end, error] = std::from_chars(patch.data(), patch.data() + patch.size(), sizes.patch_size);
  if (row == std::end(kPublished) || error != std::errc() || end != patch.data() + patch.size())
    return std::nullopt;
  sizes.depth = row->depth;
  sizes.width = row->width;
  sizes.heads = row->heads;
  word.sizes = sizes;
  return word;
}

void SetClasses(const std::string& what, std::optional<int64_t> classes, Config& config) {
  const int64_t rows = config.network.label_rows;
  config.classes = classes.value_or(rows == kImageNetClasses ? rows : rows - 1);
  config.has_none = config.classes < rows;
  GAS_CHECK(config.classes >= 1 && (rows == config.classes || rows == config.classes + 1), Errc::kBadFile,
            what, ": num_classes = ", config.classes, ", must be the label table's ", rows,
            " rows, or one less with an unconditional row");
}

void Validate(const std::string& what, const NetworkConfig& c) {
  const auto check = [&](const char* name, int64_t value, int64_t low, int64_t high) {
    CheckInClosed(Errc::kBadFile, what + ": " + name, value, low, high);
  };
  check("patch_size", c.patch_size, 1, 64);
  check("input_size", c.input_size, 1, 1 << 14);
  check("in_channels", c.in_channels, 1, 1 << 10);
  check("hidden_size", c.width, 1, 1 << 14);
  check("depth", c.depth, 1, kMostBlocks);
  check("num_heads", c.heads, 1, c.width);
  check("the feed-forward layers' width", c.inner_width, 1, 1 << 17);
  check("the time embedding's channels", c.time_channels, 2, 1 << 14);
  check("the label table's rows", c.label_rows, 1, 1 << 24);
  GAS_CHECK(c.input_size % c.patch_size == 0, Errc::kBadFile, what, ": input_size = ", c.input_size,
            ", must be a multiple of patch_size = ", c.patch_size);
  GAS_CHECK(c.width % c.heads == 0, Errc::kBadFile, what, ": hidden_size = ", c.width,
            ", must be a multiple of num_heads = ", c.heads);
  GAS_CHECK(c.time_channels % 2 == 0, Errc::kBadFile, what, ": ", c.time_channels,
            " channels of the time embedding, must be an even number");
  GAS_CHECK(c.out_channels == c.in_channels || c.out_channels == 2 * c.in_channels, Errc::kBadFile, what,
            ": the network gives ", c.out_channels, " channels for ", c.in_channels,
            ", must be as many, or twice as many with learned variances");
}

nlohmann::json FlagsOf(const Config& config) {
  const NetworkConfig& c = config.network;
  return {{"model", config.kind == Kind::kDit ? "DiT" : "SiT"},
          {"input_size", c.input_size},
          {"in_channels", c.in_channels},
          {"learn_sigma", c.out_channels > c.in_channels},
          {"patch_size", c.patch_size},
          {"hidden_size", c.width},
          {"depth", c.depth},
          {"num_heads", c.heads},
          {"num_classes", config.classes},
          {"scale_factor", config.scale_factor},
          {"rules", c.endpoint_frequencies ? "diffusers" : "original"}};
}

}  // namespace gas::dit
