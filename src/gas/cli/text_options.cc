#include "gas/cli/text_options.h"

#include "gas/core/error.h"

namespace gas::cli {
namespace {

constexpr const char* kTextModels = "with a model of texts";

}  // namespace

std::vector<OptionRow> TextModelRows() {
  return {
      {.key = "model.tokenizer",
       .flag = "--tokenizer",
       .type = OptType::kText,
       .def = "",
       .help = "tokenizer's folder, or its list of merges, such as bpe_simple_vocab_16e6.txt.gz [found with "
               "the model]",
       .value = "FILE",
       .only = kTextModels},
      {.key = "model.lora",
       .flag = "--lora",
       .type = OptType::kText,
       .def = "",
       .help = "low-rank changes that are added to the weights, such as a.safetensors:0.8,b.safetensors:-0.5",
       .value = "FILES",
       .only = kTextModels},
  };
}

std::vector<OptionRow> PromptRows() {
  return {
      {.key = "model.prompt",
       .flag = "--prompt",
       .type = OptType::kText,
       .def = "",
       .help = "what every image shows",
       .value = "TEXT",
       .only = kTextModels},
      {.key = "model.prompts",
       .flag = "--prompts",
       .type = OptType::kText,
       .def = "",
       .help = "prompts, one a line, or JSON lines with prompt, negative, seed and size; seed n takes line "
               "n, from the first again after the last",
       .value = "FILE",
       .only = kTextModels},
      {.key = "model.negative",
       .flag = "--negative",
       .type = OptType::kText,
       .def = "",
       .help = "what images must not show, the unconditional side of guidance [the model's own]",
       .value = "TEXT",
       .only = kTextModels},
      {.key = "model.size",
       .flag = "--size",
       .type = OptType::kText,
       .def = "",
       .help = "width and height of images, such as 768x512 [the model's own]",
       .value = "WxH",
       .only = kTextModels},
  };
}

void ReadTextModel(const Options& o, ModelOptions& model) {
  model.texts.tokenizer = o.Text("model.tokenizer");
  model.texts.loras = ParseLoras("model.lora", o.Text("model.lora"));
}

void ReadPrompts(const Options& o, ModelOptions& model) {
  const std::optional<std::string> prompt = o.TextIfGiven("model.prompt");
  const std::string& file = o.Text("model.prompts");
  GAS_CHECK(!prompt || file.empty(), Errc::kBadOption, "model.prompt and model.prompts = ", file,
            " must not be given both");
  if (prompt) model.texts.prompts = PromptList(*prompt);
  if (!file.empty()) model.texts.prompts = PromptList::Read(file);
  model.texts.negative = o.TextIfGiven("model.negative");
  const std::optional<ImageSize> listed = model.texts.prompts.size();
  const std::string& size = o.Text("model.size");
  if (!size.empty()) model.texts.size = ParseImageSize("model.size", size);
  GAS_CHECK(!listed || size.empty() || *listed == *model.texts.size, Errc::kBadOption, "model.size = ", size,
            ", but ", file, " says ", FormatImageSize(*listed));
  if (listed) model.texts.size = listed;
}

}  // namespace gas::cli
