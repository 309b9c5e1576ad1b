// What the verbs share: common options, opening a model, resolving a solver, run folders.
#ifndef GAS_CLI_COMMON_H_
#define GAS_CLI_COMMON_H_

#include <string>
#include <vector>

#include "gas/cli/options.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/models/model.h"
#include "gas/solver/step_table.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {

// Rows that mean the same for every verb that has them.
inline constexpr OptionRow kModelRow = {.key = "model.name",
                                        .flag = "--model",
                                        .type = OptType::kText,
                                        .def = "fashion",
                                        .help = "embedded model (gas models), model file, or exec:COMMAND"};
inline constexpr OptionRow kGuidanceRow = {.key = "model.guidance",
                                           .flag = "--guidance",
                                           .type = OptType::kReal,
                                           .def = "1",
                                           .min = -100,
                                           .max = 100,
                                           .help = "classifier-free guidance scale, 1 for none"};
inline constexpr OptionRow kTEpsRow = {.key = "solver.t_eps",
                                       .flag = "--t-eps",
                                       .type = OptType::kReal,
                                       .def = "1e-3",
                                       .min = 1e-8,
                                       .max = 0.5,
                                       .help = "time at which sampling ends"};
inline constexpr OptionRow kDeviceRow = {.key = "run.device",
                                         .flag = "--device",
                                         .type = OptType::kText,
                                         .def = "cpu",
                                         .help = "cpu, cuda or cuda:N"};
inline constexpr OptionRow kDtypeRow = {.key = "run.dtype",
                                        .flag = "--dtype",
                                        .type = OptType::kText,
                                        .def = "float32",
                                        .help = "float32, or bfloat16 for the network's products"};
inline constexpr OptionRow kThreadsRow = {.key = "run.threads",
                                          .flag = "--threads",
                                          .type = OptType::kInt,
                                          .def = "0",
                                          .min = 0,
                                          .max = 1024,
                                          .help = "CPU threads, 0 for all cores"};

// Applies run.threads. Every verb that computes calls it first.
void UseThreads(const Options& options);
torch::Device DeviceOf(const Options& options);
bool Bfloat16Of(const Options& options);

// Opens model.name with the model and run rows; t_eps as given.
Model OpenModelFrom(const Options& options, double t_eps);

// The model of teacher data: model.name with the run rows, and t_eps and guidance of the data. Throws
// Error(kBadFile) when the data in `folder` were made with other weights.
Model OpenModelOf(const TeacherData& data, const std::string& folder, const Options& options);

// Throws Error(kBadOption) for a model whose solver cannot be trained by gradients; said before any work is
// done.
void CheckTrainable(const Model& model);

// A solver by name or from a file, ready to run.
struct ResolvedSolver {
  StepTable table;
  std::string label;  // "gs-4", "dpmpp-3m-4"
  double t_eps;
  nlohmann::json provenance;  // of a solver file
};
// Whether `solver` names a file rather than a method: a mistyped method such as unipc.3 is to hear of the
// nearest one.
bool IsSolverFile(const std::string& solver);
// Throws Error(kBadFile) when a solver file was made for another model.
ResolvedSolver ResolveSolver(const std::string& solver, const std::string& grid, int64_t nfe,
                             const Model& model, double t_eps);

// Creates the folder and writes options.json, the resolved options with where each came from, into it.
void PrepareRunFolder(const std::string& folder, const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_COMMON_H_
