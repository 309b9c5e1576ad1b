// Low-rank changes of weights (Hu et al. 2021), added to a model's networks when it is opened.
#ifndef GAS_MODELS_SD_LORA_H_
#define GAS_MODELS_SD_LORA_H_

#include <map>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/models/text/clip_text.h"
#include "gas/models/text_options.h"

namespace gas::sd {

// The weights of a model's layers by every name that files of low-rank changes give to layers: those of
// kohya-ss, lora_unet_ with diffusers' or CompVis's names and lora_te_, lora_te1_, lora_te2_, and those of
// diffusers and peft, unet., text_encoder. and text_encoder_2.
class LoraTargets {
 public:
  void Add(const openai_unet::UNet& network);
  // index: 0 for the first text encoder; only: whether the model has no other.
  void Add(const text::ClipText& network, size_t index, bool only);

  // Null for a name that no layer has.
  const Tensor* Find(const std::string& layer) const;

 private:
  void AddName(const std::string& name, const Tensor& weight);

  std::map<std::string, Tensor> weights_;
};

// W + weight (alpha / rank) up down for each layer that the file names; without alpha the factor is the
// weight alone. Kernels of convolutions are products over the rank too. Returns the file's SHA-256. Throws
// Error(kBadFile) naming the file and the tensor that belongs to no layer of the model, lacks its other half,
// is of another shape, not finite, or of another kind of change.
std::string MergeLora(const LoraFile& lora, const LoraTargets& targets);

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_LORA_H_
