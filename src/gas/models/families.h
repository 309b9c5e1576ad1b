// The kinds of models that this program opens: a folder and a row each.
#ifndef GAS_MODELS_FAMILIES_H_
#define GAS_MODELS_FAMILIES_H_

#include <span>
#include <string_view>

#include "gas/models/conformance.h"
#include "gas/models/model.h"
#include "gas/models/model_files.h"
#include "gas/models/trainable_denoiser.h"

namespace gas {

// Which of ModelOptions a family reads beside those that all do.
struct FamilyOptions {
  bool config = false;   // ModelOptions::config
  bool texts = false;    // ModelOptions::texts
  bool workers = false;  // ModelOptions::workers
};

struct ModelFamily {
  std::string_view name;
  std::string_view looks_for;  // what it recognises, for the message about a file that nobody knows
  // Whether the files are of this family, by what is in them. Reads little and never throws for files of
  // others.
  bool (*recognises)(const ModelFiles& files);
  // The model as it is, without guidance. Throws Error(kBadFile) for what is damaged, Error(kBadOption) for
  // options that it cannot follow, Error(kUnavailable) for a process that ends.
  Model (*open)(const ModelFiles& files, const ModelOptions& options);
  FamilyOptions reads = {};
  // Of families whose networks can be trained here (models/trainable_denoiser.h); null for others.
  std::unique_ptr<TrainableDenoiser> (*train_new)(const DenoiserShape& shape,
                                                  const DenoiserSizes& sizes) = nullptr;
  std::unique_ptr<TrainableDenoiser> (*train_from)(const ModelFiles& files) = nullptr;
  // Of families whose networks may guide themselves: such a model, which `open` gave, with another scale.
  // Null for others.
  Model (*at_guidance)(const Model& model, double scale) = nullptr;
  // Of families whose networks others write: whether an opened one keeps to what is agreed. It is of no use
  // afterwards. Null for others. Throws as `open`.
  ConformanceRecord (*check)(const Model& model) = nullptr;
};

// In the order in which they are asked.
std::span<const ModelFamily> ModelFamilies();

// The family of the files. Throws Error(kBadFile), listing what was looked for.
const ModelFamily& FamilyOf(const ModelFiles& files);

}  // namespace gas

#endif  // GAS_MODELS_FAMILIES_H_
