// What a fit needs to run, from a folder of teacher data or made on the spot: models, trajectories,
// statistics.
#ifndef GAS_FIT_FIT_PROBLEM_H_
#define GAS_FIT_FIT_PROBLEM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/fit/fit_solver.h"
#include "gas/models/model.h"
#include "gas/teacher/teacher.h"

namespace gas {

// A batch has a trajectory of each fold of the cross-validation.
inline constexpr int64_t kLeastFitBatch = 4;

struct FitSizes {
  int64_t training = 768, held_out = 64;  // trajectories
  int64_t batch = 64;
};

struct FitProblem {
  std::vector<Model> models;  // one for each guidance scale, otherwise alike
  std::vector<double> guidance;
  double t_eps = kDefaultTEps;
  FitSources sources;
  nlohmann::json teacher;                   // for the provenance
  int64_t teacher_evaluations = 0;          // spent now, each of one sample
  int64_t teacher_cost = 0;                 // what the trajectories took, now or earlier
  std::shared_ptr<const TeacherData> data;  // what the sources read from; null for samples made now
};

// Called while trajectories are made.
using SamplesDone = std::function<void(int64_t done, int64_t total)>;

// Makes samples with their states of what the spec says; empty: RunTeacher, which keeps them in memory alone.
using MakeSamples =
    std::function<Samples(const Model& model, const TeacherSpec& spec, const StepTable& table,
                          const std::vector<Seed>& seeds, const std::function<void(int64_t done)>& progress)>;

// The first samples of the folder are fitted, the last are held out. Trajectories of data without states are
// run again from the same noise. Throws Error(kBadOption) if fewer than 8 are left to fit.
FitProblem FitProblemFrom(std::shared_ptr<const TeacherData> data, const std::string& folder,
                          const Model& model, const FitSizes& sizes, const SamplesDone& progress = {},
                          const MakeSamples& make = {});

// Trajectories of seeds from 0 up by the usual teacher (teacher.h), shared out among the guidance scales.
// `open` gives the model with one of them; trajectories end where the model says.
FitProblem MakeFitProblem(const std::function<Model(double guidance)>& open,
                          const std::vector<double>& guidance, const FitSizes& sizes,
                          const SamplesDone& progress = {}, const MakeSamples& make = {});

// The spectrum of the training samples, which must have shape [C,H,W].
SpectrumStatistics MeasureSpectrum(const FitProblem& problem);

}  // namespace gas

#endif  // GAS_FIT_FIT_PROBLEM_H_
