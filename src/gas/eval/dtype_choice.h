// Which of float32 and bfloat16 a run is better off with, by measurement on the machine at hand.
#ifndef GAS_EVAL_DTYPE_CHOICE_H_
#define GAS_EVAL_DTYPE_CHOICE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/models/model.h"
#include "gas/solver/step_table.h"

namespace gas {

// A solver that the run will use.
struct SolverInUse {
  std::string label;
  StepTable table;
  // Mean squared difference of its samples from the teacher's, as its file records it; nothing if it does
  // not.
  std::optional<double> error;
  // The clean state [1,...] with whose noised version the table begins (teacher/image_start.h); undefined:
  // with noise alone.
  Tensor clean = {};
};

// What the provenance of a solver file records of its error on held-out samples; nothing if that is another
// distance than the mean square.
std::optional<double> RecordedError(const nlohmann::json& provenance);

// How many times as fast one evaluation of `batch` samples is as with the same weights in float32, of a
// model that was opened in a narrow dtype. Three evaluations in each: the first warms up, the faster
// of the others counts.
double NarrowSpeedUp(const Model& narrow, int64_t batch);

struct DtypeChoice {
  std::optional<Model> bfloat16;  // the model to run, if bfloat16 is chosen
  std::string text;               // what was found and chosen, in one line
};

// bfloat16 if it is faster by a tenth at least, and if the mean squared difference that it makes to samples
// of each solver (four seeds) is no more than the solver's own error. float32 otherwise, and where no error
// is recorded. `open_bfloat16` opens the model again; its Error(kBadOption) and Error(kUnavailable) choose
// float32.
DtypeChoice ChooseDtype(const Model& float32, const std::function<Model()>& open_bfloat16,
                        const std::vector<SolverInUse>& solvers, int64_t batch);

// nn::SlowDtypeText of one evaluation of a model that was opened in `dtype`. Asks for no more than 8 samples
// at once, so that the warning costs a run little.
std::optional<std::string> SlowDtype(const Model& narrow, torch::Dtype dtype, int64_t batch);

}  // namespace gas

#endif  // GAS_EVAL_DTYPE_CHOICE_H_
