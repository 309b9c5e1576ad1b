// The options that name a model and where it runs, which mean the same for every verb that has them, and the
// model opened from them.
#ifndef GAS_CLI_MODEL_OPTIONS_H_
#define GAS_CLI_MODEL_OPTIONS_H_

#include <functional>
#include <optional>
#include <string>

#include "gas/cli/options.h"
#include "gas/models/model.h"
#include "gas/teacher/solver_choice.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {

// What the network's products are computed in.
enum class Dtype { kFloat32, kTf32, kBfloat16, kFloat16, kAuto };
inline constexpr auto kDtypeNames = NamesOf<Dtype>("run.dtype", {{Dtype::kFloat32, "float32"},
                                                                 {Dtype::kTf32, "tf32"},
                                                                 {Dtype::kBfloat16, "bfloat16"},
                                                                 {Dtype::kFloat16, "float16"}});
// Of verbs that differentiate the network, whose gradients fall below what float16 can tell from 0.
inline constexpr auto kTrainingDtypeNames = NamesOf<Dtype>(
    "run.dtype", {{Dtype::kFloat32, "float32"}, {Dtype::kTf32, "tf32"}, {Dtype::kBfloat16, "bfloat16"}});
// Of verbs that run a solver and leave no data that others build on.
inline constexpr auto kDtypeOrAutoNames =
    NamesOf<Dtype>("run.dtype", {{Dtype::kFloat32, "float32"},
                                 {Dtype::kTf32, "tf32"},
                                 {Dtype::kBfloat16, "bfloat16"},
                                 {Dtype::kFloat16, "float16"},
                                 {Dtype::kAuto, "auto", "bfloat16 where it is faster and exact enough"}});

OptionRow ModelRow();     // model.name
OptionRow ConfigRow();    // model.config
OptionRow FeaturesRow();  // model.features, which ModelRequest::features takes
OptionRow GuidanceRow();  // model.guidance
OptionRow TEpsRow();      // solver.t_eps, without a default
OptionRow ForceRow();     // solver.force, read for solver files alone
OptionRow DtypeRow();     // run.dtype
OptionRow DeviceRow();    // run.device
OptionRow ThreadsRow();   // run.threads; the command line itself applies it before a verb's work
// dtype, device, threads.
std::vector<OptionRow> RunRows();
// These, without float16 as a dtype.
std::vector<OptionRow> TrainingRunRows();
// These, with `auto` as a dtype.
std::vector<OptionRow> RunRowsWithAuto();

// A scale of guidance, or a range.
struct AskedGuidance {
  double scale = 1;  // the middle of a range
  std::optional<GuidanceRange> range = {};
};
// Of "2" or "1..3". Throws Error(kBadOption) that names `key`.
AskedGuidance ParseGuidance(const std::string& key, const std::string& text);

// A model as the options ask for it.
struct ModelRequest {
  std::string name;
  ModelOptions options;                   // but for guidance and t_eps; a range of guidance is asked for here
  Dtype dtype = Dtype::kFloat32;          // kAuto: opened in float32 until cli/dtype.h has chosen
  std::optional<double> guidance, t_eps;  // as asked for; the verb's to set
  std::string features = {};              // in place of ModelCard::features; the verb's to set

  // With what was asked for, or else guidance 1 and the schedule's own end.
  Model Open() const;
  // The same opened once for several scales of guidance, `first` among them (models/model_scales.h).
  std::function<Model(double scale)> AtScales(double first) const;
  // With what was asked for, or else as the solver's file says.
  Model OpenFor(const ChosenSolver& solver) const;
  // The model of teacher data, with t_eps and guidance of the data. Throws Error(kBadFile) when the data in
  // `folder` were made with other weights, Error(kBadOption) if something else than the data have was asked
  // for.
  Model OpenFor(const TeacherData& data, const std::string& folder) const;
  // The same for a solver that ends where it is asked to, or else where the data's ends.
  Model OpenForTraining(const TeacherData& data, const std::string& folder) const;

 private:
  Model OpenWith(const ModelOptions& asked) const;
  Model OpenAs(const TeacherData& data, const std::string& folder, double end) const;
};

// Reads run.dtype and run.device, and switches TF32 on or off for the whole process. Throws Error(kBadOption)
// for TF32 without CUDA.
Dtype ReadDtype(const Options& options);
// Reads solver.force.
OnDifference ReadForce(const Options& options);
// On stderr, a line each.
void TellDifferences(const char* verb, const ResolvedSolver& solver);
// Reads model.name, model.config, TextModelRows (cli/text_options.h), WorkerRows, run.device and run.dtype,
// which may be auto if the row of the verb lists it.
ModelRequest ReadModelRequest(const Options& options);
// Reads run.device. Throws Error(kUnavailable) for a device that is not there.
torch::Device ReadDevice(const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_MODEL_OPTIONS_H_
