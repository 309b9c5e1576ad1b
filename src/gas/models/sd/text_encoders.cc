#include "gas/models/sd/text_encoders.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/models/guidance.h"
#include "gas/models/prompt_lines.h"
#include "gas/nn/ops.h"

namespace gas::sd {
namespace {

constexpr const char* kText = "text";
constexpr const char* kVector = "vector";
constexpr int64_t kPromptsAtOnce = 64;

const text::ClipTokenizer& TokenizerOf(const TextEncoder& encoder) {
  GAS_CHECK(encoder.tokenizer != nullptr, Errc::kBadOption,
            "no tokenizer lies with the model: name it with --tokenizer, a folder with merges.txt or "
            "bpe_simple_vocab_16e6.txt.gz");
  return *encoder.tokenizer;
}

text::PromptTokens TokensFor(const TextEncoder& encoder, const std::string& prompt) {
  const text::ClipTokenizer& tokenizer = TokenizerOf(encoder);
  const TextStage& stage = encoder.stage;
  return text::TokensOf(tokenizer, prompt,
                        {.length = stage.network.positions,
                         .padding = tokenizer.NumberOf(stage.padding),
                         .padding_text = stage.padding_in_prompts ? stage.padding : ""});
}

// [B,L] int64.
Tensor IdsOf(const TextEncoder& encoder, std::span<const std::string> prompts) {
  std::vector<int64_t> ids;
  for (const std::string& prompt : prompts) {
    const std::vector<int64_t> row = TokensFor(encoder, prompt).ids;
    ids.insert(ids.end(), row.begin(), row.end());
  }
  return torch::tensor(ids, torch::kInt64).view({static_cast<int64_t>(prompts.size()), -1});
}

torch::Device DeviceOf(const TextEncoder& encoder) { return encoder.network->parameters().front().device(); }

}  // namespace

Tensor TextEncoders::SizeEmbedding(int64_t batch) const {
  const auto height = static_cast<double>(size_.height), width = static_cast<double>(size_.width);
  const Tensor numbers = torch::tensor({height, width, 0.0, 0.0, height, width}, torch::kFloat32);
  return nn::TimestepEmbedding(numbers, size_channels_).view({1, -1}).expand({batch, -1});
}

Condition TextEncoders::EncodeDistinct(std::span<const std::string> prompts) const {
  const torch::NoGradGuard no_gradient;
  std::vector<Tensor> contexts;
  Tensor pooled;
  for (const TextEncoder& encoder : encoders_) {
    const Tensor ids = IdsOf(encoder, prompts).to(DeviceOf(encoder));
    const text::EncodedText encoded = encoder.network->forward(ids, encoder.tokenizer->end());
    contexts.push_back((encoder.stage.penultimate ? encoded.penultimate : encoded.last).cpu());
    if (encoded.pooled.defined()) pooled = encoded.pooled.cpu();
  }
  Condition condition;
  condition.tensors[kText] = torch::cat(contexts, 2);
  if (size_channels_ > 0) condition.tensors[kVector] = torch::cat({pooled, SizeEmbedding(pooled.size(0))}, 1);
  return condition;
}

Condition TextEncoders::Encode(std::span<const std::string> prompts) const {
  std::vector<std::string> distinct(prompts.begin(), prompts.end());
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<Condition> parts;
  const auto count = static_cast<int64_t>(distinct.size());
  for (int64_t begin = 0; begin < count; begin += kPromptsAtOnce) {
    const int64_t at_once = std::min(kPromptsAtOnce, count - begin);
    parts.push_back(EncodeDistinct(std::span(distinct).subspan(begin, at_once)));
  }
  std::vector<int64_t> rows;
  for (const std::string& prompt : prompts) {
    rows.push_back(std::ranges::lower_bound(distinct, prompt) - distinct.begin());
  }
  return Condition::Joined(parts).Select(torch::tensor(rows, torch::kInt64));
}

Condition TextEncoders::Zeros(int64_t batch) const {
  int64_t width = 0, pooled = 0;
  for (const TextEncoder& encoder : encoders_) {
    width += encoder.stage.network.width;
    pooled = std::max(pooled, encoder.stage.network.projected_width);
  }
  Condition zeros;
  zeros.tensors[kText] = torch::zeros({batch, encoders_.front().stage.network.positions, width});
  if (size_channels_ > 0) {
    zeros.tensors[kVector] = torch::cat({torch::zeros({batch, pooled}), SizeEmbedding(batch)}, 1);
  }
  return zeros;
}

std::string TextEncoders::CutFrom(const std::string& prompt) const {
  for (const TextEncoder& encoder : encoders_) {
    std::string cut = TokensFor(encoder, prompt).cut;
    if (!cut.empty()) return cut;
  }
  return "";
}

Condition TextConditioner::Negatives(const std::vector<std::optional<std::string>>& prompts) const {
  std::vector<std::string> texts;
  for (const auto& prompt : prompts) texts.push_back(prompt.value_or(""));
  const Condition encoded = encoders_.Encode(texts);
  if (!zero_none_) return encoded;
  // Zeros, the last row, for those without.
  std::vector<int64_t> rows;
  const auto count = static_cast<int64_t>(prompts.size());
  for (int64_t i = 0; i < count; ++i) rows.push_back(prompts[i] ? i : count);
  return Condition::Joined({encoded, encoders_.Zeros(1)}).Select(torch::tensor(rows, torch::kInt64));
}

Condition TextConditioner::Of(std::span<const Request> requests) const {
  std::vector<std::string> prompts;
  std::vector<std::optional<std::string>> negatives;
  for (const PromptLine& line : PromptLinesFor(requests, options_)) {
    prompts.push_back(line.prompt);
    negatives.push_back(line.negative);
  }
  Condition condition = encoders_.Encode(prompts);
  if (!options_.prompts.has_negatives()) return condition;
  for (const auto& [name, tensor] : Negatives(negatives).tensors) {
    condition.tensors[std::string(kNegativePrefix) + name] = tensor;
  }
  return condition;
}

std::optional<Condition> TextConditioner::None() const {
  if (!options_.negative && zero_none_) return encoders_.Zeros(1);
  const std::string prompts[] = {options_.negative.value_or("")};
  return encoders_.Encode(prompts);
}

void TellCutPrompts(const TextEncoders& encoders, const PromptList& prompts,
                    const std::function<void(const std::string&)>& message) {
  if (!message) return;
  int64_t count = 0;
  std::string first;
  for (const PromptLine& line : prompts.lines()) {
    for (const std::string& text : {line.prompt, line.negative.value_or("")}) {
      const std::string cut = encoders.CutFrom(text);
      if (cut.empty()) continue;
      ++count;
      if (first.empty()) first = cut;
    }
  }
  if (count == 0) return;
  const std::string others = count == 1 ? "" : fmt::format(" (and the ends of {} others)", count - 1);
  message(fmt::format("a prompt is too long, what is cut off and not used: {}{}", Quoted(first), others));
}

}  // namespace gas::sd
