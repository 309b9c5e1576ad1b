// What a fit needs to run, from a folder of teacher data or made on the spot: models, trajectories,
// statistics.
#ifndef GAS_CLI_FIT_PROBLEM_H_
#define GAS_CLI_FIT_PROBLEM_H_

#include <memory>
#include <string>
#include <vector>

#include "gas/cli/model_options.h"
#include "gas/fit/fit_solver.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {

struct FitSizes {
  int64_t training = 256, held_out = 64, search = 64;  // trajectories; search is a part of training
  int64_t batch = 64;
};

struct FitProblem {
  std::vector<Model> models;  // one for each guidance scale, otherwise alike
  std::vector<double> guidance;
  double t_eps = kDefaultTEps;
  FitSources sources;
  nlohmann::json teacher;                   // for the provenance
  int64_t teacher_evaluations = 0;          // spent now, each of one sample
  std::shared_ptr<const TeacherData> data;  // what the sources read from
  std::unique_ptr<SpectrumStatistics> statistics;
};

// The first samples of the folder are fitted, the last are held out. Trajectories of data without states are
// run again from the same noise. Throws Error(kBadOption) if fewer than 8 are left to fit.
FitProblem FitProblemFrom(std::shared_ptr<const TeacherData> data, const std::string& folder,
                          const Model& model, const FitSizes& sizes);

// Trajectories of seeds from 0 up by the usual teacher (teacher.h), shared out among the guidance scales.
FitProblem FitProblemMadeNow(const ModelRequest& request, const std::vector<double>& guidance,
                             const FitSizes& sizes);

// Measures the spectrum of the training samples into problem.statistics.
void MeasureSpectrum(FitProblem& problem);

}  // namespace gas::cli

#endif  // GAS_CLI_FIT_PROBLEM_H_
