// The options of models that draw images of texts.
#ifndef GAS_CLI_TEXT_OPTIONS_H_
#define GAS_CLI_TEXT_OPTIONS_H_

#include <vector>

#include "gas/cli/options.h"
#include "gas/models/model.h"

namespace gas::cli {

// model.tokenizer and model.lora: what a model is made of.
std::vector<OptionRow> TextModelRows();
// model.prompt, model.prompts, model.negative and model.size: what is asked of it.
std::vector<OptionRow> PromptRows();

// Reads the former.
void ReadTextModel(const Options& options, ModelOptions& model);
// Reads the latter, and the file of prompts. Throws Error(kBadOption) for a prompt beside a file of them.
void ReadPrompts(const Options& options, ModelOptions& model);

}  // namespace gas::cli

#endif  // GAS_CLI_TEXT_OPTIONS_H_
