// What a model that draws images of texts is opened with.
#ifndef GAS_MODELS_TEXT_OPTIONS_H_
#define GAS_MODELS_TEXT_OPTIONS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gas/models/image_size.h"
#include "gas/models/prompts.h"

namespace gas {

// A low-rank change of a model's weights (Hu et al. 2021), and how much of it is added.
struct LoraFile {
  std::string path;
  double weight = 1.0;
};

struct TextOptions {
  PromptList prompts = {};                   // for requests without a prompt of their own
  std::optional<std::string> negative = {};  // the unconditional side of guidance; none: the model's own
  std::string tokenizer = {};                // file or folder; empty: found with the model
  std::optional<ImageSize> size = {};        // of the images; none: what the model was trained on
  std::vector<LoraFile> loras = {};          // added to the weights
};

// "a.safetensors:0.8,b.safetensors": files and their weights, 1 where none is said. Throws Error(kBadOption),
// which begins with `what`.
std::vector<LoraFile> ParseLoras(std::string_view what, std::string_view text);

// Throws Error(kBadOption), "model.prompt must not be given for WHOSE takes no texts", for any option that is
// asked for.
void CheckNoTexts(std::string_view whose, const TextOptions& options);

// What samples depend on, for the records of teacher data: "prompts", the SHA-256 of their list, "negative"
// and "size", as far as they were asked for.
std::map<std::string, std::string> RecordOf(const TextOptions& options);

// The negative prompt and the size of a record, where `options` ask for none of their own.
void FillFromRecord(const std::map<std::string, std::string>& record, TextOptions& options);

}  // namespace gas

#endif  // GAS_MODELS_TEXT_OPTIONS_H_
