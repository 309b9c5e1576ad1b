// The prompts of requests.
#ifndef GAS_MODELS_PROMPT_LINES_H_
#define GAS_MODELS_PROMPT_LINES_H_

#include <span>
#include <vector>

#include "gas/models/conditioner.h"
#include "gas/models/text_options.h"

namespace gas {

// A line for each request: its own prompt, or that of its seed; with the negative prompt of the line, or else
// that of the options. Throws Error(kBadOption) for a request with a class, and for a seed without a prompt.
std::vector<PromptLine> PromptLinesFor(std::span<const Request> requests, const TextOptions& options);

}  // namespace gas

#endif  // GAS_MODELS_PROMPT_LINES_H_
