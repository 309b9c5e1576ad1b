// What is known of a diffusion transformer: from the shapes of its weights, from what was published, and from
// a card beside the file.
#ifndef GAS_MODELS_DIT_CONFIG_H_
#define GAS_MODELS_DIT_CONFIG_H_

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/tensor_file.h"

namespace gas::dit {

// The two publications whose networks are the same and whose weights have the same names.
enum class Kind {
  kDit,  // predicts noise, and is told the step of 1000 (Peebles and Xie 2023)
  kSit,  // predicts the velocity of the straight path from noise to data, and is told its time (Ma et al.
         // 2024)
};

// The names of the reference's constructor are in the comments.
struct NetworkConfig {
  int64_t input_size = 32;            // of states, which are square
  int64_t in_channels = 4;            // of states
  int64_t out_channels = 8;           // twice as many with learned variances (learn_sigma)
  int64_t patch_size = 2;             // a token is a square of this side
  int64_t width = 1152;               // hidden_size
  int64_t depth = 28;                 // blocks
  int64_t heads = 16;                 // num_heads
  int64_t inner_width = 4608;         // of feed-forward layers, mlp_ratio * hidden_size
  int64_t time_channels = 256;        // sinusoids that times are embedded in
  int64_t label_rows = 1001;          // classes, and the unconditional one
  double second_norm_eps = 1e-6;      // of the norm before the feed-forward layer
  bool endpoint_frequencies = false;  // sinusoids down to 1 / 10000 itself, as in diffusers

  // Tokens along a side.
  int64_t side() const { return input_size / patch_size; }
};

struct Config {
  NetworkConfig network;
  Kind kind = Kind::kDit;
  int64_t classes = 1000;
  bool has_none = true;           // the rows have one more than the classes
  double scale_factor = 0.18215;  // states are the autoencoder's latents times this
  std::filesystem::path vae;      // the autoencoder, a file or a folder; empty: none, states are all there is
};

// Whether a file has the names of such a network.
bool HasNames(const TensorFile& weights);

// The network of these weights, but for its heads: those of the published network of its sizes, else 0.
// Throws Error(kBadFile) naming the tensor that is missing or has no such shape.
NetworkConfig NetworkOfWeights(const TensorFile& weights);

// The heads of the published network of this depth and width; 0 if there is none.
int64_t PublishedHeads(int64_t depth, int64_t width);

// "DiT-XL/2": the kind, and the sizes if there are any behind it.
struct ModelWord {
  Kind kind = Kind::kDit;
  // depth, width, heads and patch_size alone are meant.
  std::optional<NetworkConfig> sizes;
};
// Nothing for a text that is no such name.
std::optional<ModelWord> ParseModelWord(std::string_view text);

// The rows of the label table as classes: 1000 are ImageNet's without an unconditional one, else the last row
// is it. classes: what a card says; nothing if it is silent. Throws Error(kBadFile) beginning with `what`.
void SetClasses(const std::string& what, std::optional<int64_t> classes, Config& config);

// Throws Error(kBadFile) beginning with `what` for sizes that no network can have.
void Validate(const std::string& what, const NetworkConfig& config);

// All of it, for people and for the model's hash.
nlohmann::json FlagsOf(const Config& config);

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_CONFIG_H_
