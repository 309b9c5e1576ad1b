// The text encoders of a model: prompts to what its U-Net is told.
#ifndef GAS_MODELS_SD_TEXT_ENCODERS_H_
#define GAS_MODELS_SD_TEXT_ENCODERS_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gas/models/conditioner.h"
#include "gas/models/model.h"
#include "gas/models/sd/layout.h"
#include "gas/models/text/clip_tokenizer.h"

namespace gas::sd {

struct TextEncoder {
  TextStage stage;
  std::shared_ptr<text::ClipText> network;
  std::shared_ptr<const text::ClipTokenizer> tokenizer;  // null where none was found
};

class TextEncoders {
 public:
  // size: of the images, which Stable Diffusion XL is told in `size_channels` a number; 0 for others.
  TextEncoders(std::vector<TextEncoder> encoders, ImageSize size, int64_t size_channels)
      : encoders_(std::move(encoders)), size_(size), size_channels_(size_channels) {}

  // On the CPU: "text" [B,L,D], the encoders' outputs side by side; with size channels "vector" [B,V] too,
  // the pooled text and the embedded numbers height, width, 0, 0 (the upper left corner), height, width.
  // Equal prompts are encoded once. Throws Error(kBadOption) where there is no tokenizer.
  Condition Encode(std::span<const std::string> prompts) const;
  // Zeros of the same shapes.
  Condition Zeros(int64_t batch) const;
  // The end of a prompt for which there is no room; empty if there is.
  std::string CutFrom(const std::string& prompt) const;

 private:
  Condition EncodeDistinct(std::span<const std::string> prompts) const;
  Tensor SizeEmbedding(int64_t batch) const;

  std::vector<TextEncoder> encoders_;
  ImageSize size_;
  int64_t size_channels_;
};

// From requests with prompts to conditions.
class TextConditioner : public Conditioner {
 public:
  // zero_none: without a negative prompt the unconditional side is zeros, otherwise the empty prompt.
  TextConditioner(TextEncoders encoders, TextOptions options, bool zero_none)
      : encoders_(std::move(encoders)), options_(std::move(options)), zero_none_(zero_none) {}
  Condition Of(std::span<const Request> requests) const override;
  std::optional<Condition> None() const override;
  Condition Placeholder(int64_t batch) const override { return encoders_.Zeros(batch); }

 private:
  // The rows that `prompts` ask for on the unconditional side; nothing: no prompt of their own.
  Condition Negatives(const std::vector<std::optional<std::string>>& prompts) const;

  TextEncoders encoders_;
  TextOptions options_;
  bool zero_none_;
};

// Tells which prompts are cut, and of the first what is.
void TellCutPrompts(const TextEncoders& encoders, const PromptList& prompts,
                    const std::function<void(const std::string&)>& message);

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_TEXT_ENCODERS_H_
