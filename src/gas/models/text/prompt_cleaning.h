// What is done to a prompt before it becomes tokens.
#ifndef GAS_MODELS_TEXT_PROMPT_CLEANING_H_
#define GAS_MODELS_TEXT_PROMPT_CLEANING_H_

#include <string>
#include <string_view>

namespace gas::text {

// As CLIP's own tokenizer does by ftfy and html.unescape: entities of HTML become their characters, also
// those that come out of others, ligatures letters, characters in full width plain ones, curled quotation
// marks straight, control characters go, and the rest is composed (Composed, unicode.h). Of ftfy's repairs
// one is not made: text that was read in a wrong encoding stays as it is.
std::u32string CleanedPrompt(std::u32string_view text);

}  // namespace gas::text

#endif  // GAS_MODELS_TEXT_PROMPT_CLEANING_H_
