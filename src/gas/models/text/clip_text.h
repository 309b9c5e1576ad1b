// CLIP's text transformer (Radford et al. 2021), with the names of parameters that Hugging Face gives it:
// those of Stable Diffusion's files too.
#ifndef GAS_MODELS_TEXT_CLIP_TEXT_H_
#define GAS_MODELS_TEXT_CLIP_TEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/nn/layers.h"
#include "gas/nn/transformer.h"

namespace gas::text {

enum class Activation { kQuickGelu, kGelu };

struct ClipTextConfig {
  int64_t width = 768, layers = 12, heads = 12;
  int64_t inner_width = 3072;  // of the feed-forward layers
  int64_t vocabulary = 49408, positions = 77;
  int64_t projected_width = 0;  // of the pooled vector; 0: there is none
  Activation activation = Activation::kQuickGelu;
};

// Throws Error(kBadFile), beginning with `what`, for sizes that no network can have.
void Validate(const std::string& what, const ClipTextConfig& config);

// What the encoder makes of texts.
struct EncodedText {
  Tensor last;         // [B,L,width] after the last layer and the final normalisation
  Tensor penultimate;  // [B,L,width] before the last layer, not normalised
  Tensor pooled;       // [B,projected_width]: `last` at the end token, projected; undefined without
};

class ClipText : public torch::nn::Module {
 public:
  // Throws Error(kBadFile) for impossible sizes.
  explicit ClipText(const ClipTextConfig& config);
  const ClipTextConfig& config() const { return config_; }
  // ids [B,L] int64 in [0, vocabulary), L at most `positions`. Each position sees itself and what is before
  // it. end: the token at whose first place a text is pooled.
  EncodedText forward(const Tensor& ids, int64_t end);

 private:
  struct Layer;

  ClipTextConfig config_;
  Tensor tokens_, positions_, projection_;
  std::vector<std::shared_ptr<Layer>> layers_;
  nn::LayerNormLayer final_norm_;
};

}  // namespace gas::text

#endif  // GAS_MODELS_TEXT_CLIP_TEXT_H_
