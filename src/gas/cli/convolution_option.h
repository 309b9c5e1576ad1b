// --convolution, of verbs that evaluate a frozen network.
#ifndef GAS_CLI_CONVOLUTION_OPTION_H_
#define GAS_CLI_CONVOLUTION_OPTION_H_

#include <string>

#include "gas/cli/model_options.h"
#include "gas/nn/convolution_plan.h"

namespace gas::cli {

// run.convolution. `auto`, which may choose otherwise on another day, is not for runs that are resumed and
// leave what others build on.
OptionRow ConvolutionRow();
OptionRow ConvolutionOrAutoRow();

// run.convolution as records of runs keep it: empty for direct, which older ones do not name.
std::string RecordedConvolution(const Options& options);

// Reads run.convolution, with the file of times. Throws Error(kBadOption) for winograd with another dtype
// than float32 or another device than the CPU; of run.dtype = auto too.
nn::PlanOptions ReadConvolution(const Options& options, const ModelRequest& model);

// Has the model's convolutions computed as asked, and tells on stderr how many by Winograd's algorithm.
// Nothing for direct.
void UseConvolutions(const char* verb, const Model& model, torch::Dtype dtype,
                     const nn::PlanOptions& options);

}  // namespace gas::cli

#endif  // GAS_CLI_CONVOLUTION_OPTION_H_
