// The options that name a model and where it runs, which mean the same for every verb that has them, and the
// model opened from them.
#ifndef GAS_CLI_MODEL_OPTIONS_H_
#define GAS_CLI_MODEL_OPTIONS_H_

#include <string>

#include "gas/cli/options.h"
#include "gas/models/model.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {

// What the network's products are computed in.
enum class Dtype { kFloat32, kTf32, kBfloat16 };
inline constexpr auto kDtypeNames = NamesOf<Dtype>(
    "run.dtype", {{Dtype::kFloat32, "float32"}, {Dtype::kTf32, "tf32"}, {Dtype::kBfloat16, "bfloat16"}});

OptionRow ModelRow();     // model.name
OptionRow GuidanceRow();  // model.guidance
OptionRow TEpsRow();      // solver.t_eps
OptionRow DtypeRow();     // run.dtype
OptionRow DeviceRow();    // run.device
OptionRow ThreadsRow();   // run.threads; the command line itself applies it before a verb's work
// dtype, device, threads.
std::vector<OptionRow> RunRows();

// A model as the options ask for it.
struct ModelRequest {
  std::string name;
  ModelOptions options;  // t_eps and guidance are the verb's to set

  Model Open() const { return OpenModel(name, options); }
  // The model of teacher data, with t_eps and guidance of the data. Throws Error(kBadFile) when the data in
  // `folder` were made with other weights.
  Model OpenFor(const TeacherData& data, const std::string& folder) const;
};

// Reads run.dtype and run.device, and switches TF32 on or off for the whole process. Throws Error(kBadOption)
// for TF32 without CUDA.
Dtype ReadDtype(const Options& options);
// Reads model.name, run.device and run.dtype.
ModelRequest ReadModelRequest(const Options& options);
// Reads run.device. Throws Error(kUnavailable) for a device that is not there.
torch::Device ReadDevice(const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_MODEL_OPTIONS_H_
