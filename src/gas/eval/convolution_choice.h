// By which algorithm a model's convolutions are computed.
#ifndef GAS_EVAL_CONVOLUTION_CHOICE_H_
#define GAS_EVAL_CONVOLUTION_CHOICE_H_

#include <string>
#include <vector>

#include "gas/models/model.h"
#include "gas/nn/convolution_plan.h"

namespace gas {

// nn::PlanConvolutions for those that one evaluation of the network makes, which is made to see them. Where
// the network is in another process, or not in float32 on the CPU (bfloat16 for kAuto), that is none.
// `dtype`: in which the model was opened.
std::vector<nn::PlannedConvolution> ChooseConvolutions(const Model& model, torch::Dtype dtype,
                                                       const nn::PlanOptions& options);

// "convolutions: 40 of 66 by Winograd's algorithm, 12 with packed weights".
std::string ChoiceText(const std::vector<nn::PlannedConvolution>& plan);

// A table with a line for each size and choice: how many layers, what was chosen, and where times are known,
// those for one image and how many times as fast as direct.
std::string ChoiceTable(const std::vector<nn::PlannedConvolution>& plan);

}  // namespace gas

#endif  // GAS_EVAL_CONVOLUTION_CHOICE_H_
