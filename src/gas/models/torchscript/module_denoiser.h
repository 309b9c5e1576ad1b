// An exported network as the rest of the program sees networks.
#ifndef GAS_MODELS_TORCHSCRIPT_MODULE_DENOISER_H_
#define GAS_MODELS_TORCHSCRIPT_MODULE_DENOISER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gas/models/torchscript/exported_module.h"
#include "gas/models/torchscript/module_card.h"
#include "gas/schedule/denoiser.h"

namespace gas {

class ModuleDenoiser : public Denoiser {
 public:
  // name: for messages. Throws Error(kBadFile) if the card names arguments that the module does not take, or
  // leaves one without a value.
  ModuleDenoiser(std::string name, std::shared_ptr<const ExportedModule> module, ModuleCard card,
                 torch::Dtype dtype);

  PredictionType prediction_type() const override { return card_.facts.prediction; }
  // Throws Error(kBadOption) for states of another shape, for a class that the network does not have and for
  // none where it needs one, and for a gradient of a network that gives none; Error(kBadFile) for a network
  // that fails, or whose output has another shape.
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  Tensor TimeOf(const NoiseLevel& at) const;                     // [] float64
  Tensor LabelsOf(const Tensor& labels, const Tensor& x) const;  // as the network takes them, or undefined
  Tensor Evaluate(const Tensor& state, const Tensor& time, const Tensor& labels) const;
  Tensor CheckedOutput(const Tensor& output, const Tensor& state) const;

  std::string name_;
  std::shared_ptr<const ExportedModule> module_;
  ModuleCard card_;
  std::vector<std::pair<std::string, ModuleInput>> inputs_;
  torch::Dtype dtype_;
};

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_MODULE_DENOISER_H_
