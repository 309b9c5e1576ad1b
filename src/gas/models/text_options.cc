#include "gas/models/text_options.h"

#include <charconv>
#include <cmath>

#include "gas/core/error.h"
#include "gas/core/split.h"

namespace gas {
namespace {

constexpr const char *kPrompts = "prompts", *kNegative = "negative", *kSize = "size";

std::optional<double> NumberIn(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What stands behind the last colon is a weight if it is a number; a path may have colons of its own.
LoraFile ParseLora(std::string_view what, std::string_view text) {
  LoraFile lora{.path = std::string(text)};
  const size_t colon = text.rfind(':');
  const auto weight = colon == text.npos ? std::nullopt : NumberIn(text.substr(colon + 1));
  if (weight) lora = {std::string(text.substr(0, colon)), *weight};
  GAS_CHECK(!lora.path.empty() && std::isfinite(lora.weight) && std::abs(lora.weight) <= 100,
            Errc::kBadOption, what, " = ", text,
            ", must be FILE or FILE:WEIGHT with a weight in [-100, 100]");
  return lora;
}

}  // namespace

std::vector<LoraFile> ParseLoras(std::string_view what, std::string_view text) {
  std::vector<LoraFile> loras;
  for (const std::string& lora : SplitAt(text, ',')) loras.push_back(ParseLora(what, lora));
  return loras;
}

void CheckNoTexts(std::string_view whose, const TextOptions& options) {
  const std::pair<const char*, bool> given[] = {{"model.prompt", !options.prompts.empty()},
                                                {"model.negative", options.negative.has_value()},
                                                {"model.tokenizer", !options.tokenizer.empty()},
                                                {"model.size", options.size.has_value()},
                                                {"model.lora", !options.loras.empty()}};
  for (const auto& [key, is_given] : given) {
    GAS_CHECK(!is_given, Errc::kBadOption, key, " must not be given for ", whose, " takes no texts");
  }
}

std::map<std::string, std::string> RecordOf(const TextOptions& options) {
  std::map<std::string, std::string> record;
  if (!options.prompts.empty()) record[kPrompts] = options.prompts.sha256();
  if (options.negative) record[kNegative] = *options.negative;
  if (options.size) record[kSize] = FormatImageSize(*options.size);
  return record;
}

void FillFromRecord(const std::map<std::string, std::string>& record, TextOptions& options) {
  if (!options.negative && record.contains(kNegative)) options.negative = record.at(kNegative);
  if (!options.size && record.contains(kSize)) options.size = ParseImageSize("size", record.at(kSize));
}

}  // namespace gas
