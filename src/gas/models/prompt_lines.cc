#include "gas/models/prompt_lines.h"

#include "gas/core/error.h"

namespace gas {

std::vector<PromptLine> PromptLinesFor(std::span<const Request> requests, const TextOptions& options) {
  std::vector<PromptLine> lines;
  for (const Request& request : requests) {
    GAS_CHECK(!request.label, Errc::kBadOption, "class ", request.label.value_or(0),
              " is asked of a model without classes");
    lines.push_back(request.prompt ? PromptLine{*request.prompt, {}} : options.prompts.For(request.seed));
    if (!lines.back().negative) lines.back().negative = options.negative;
  }
  return lines;
}

}  // namespace gas
