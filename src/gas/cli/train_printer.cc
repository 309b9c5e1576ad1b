#include "gas/cli/train_printer.h"

#include <iostream>

#include <fmt/format.h>

#include "gas/cli/model_options.h"
#include "gas/cli/text.h"

namespace gas::cli {
namespace {

void TellHeldFit(int64_t nfe, const InitialFit& fit) {
  if (fit.least_ridge == 0) return;
  std::cerr << fmt::format(
      "gas train: the plain fit of {} evaluations makes errors of predictions {:.3g} times as large, more "
      "than {:.3g}; "
      "training begins from one that is held towards dpmpp-3m, with a ridge of at least {:g}\n",
      nfe, fit.plain_noise_gain, fit.most_noise_gain, fit.least_ridge);
}

}  // namespace

TrainSolversHooks TrainPrinter::Hooks() {
  return {.loss_files =
              [](const nlohmann::json& source) { std::cerr << "train.loss: " << source.dump() << '\n'; },
          .plan =
              [this](int64_t nfe, const TrainingPlan& plan) {
                std::cerr << fmt::format("{}-{}: {}\n", options_.method(), nfe,
                                         PlanText(plan, options_.run.batch));
              },
          .begins_from = [](const ResolvedSolver& solver) { TellDifferences("train", solver); },
          .begins_from_fit = TellHeldFit,
          .begin = [this](int64_t nfe) { Begin(nfe); },
          .step = [this](int64_t, const GsStep& step) { Step(step); },
          .trained = [this](const TrainedSolver& solver) { Trained(solver); }};
}

void TrainPrinter::Begin(int64_t nfe) {
  validated_.reset();
  progress_.emplace(fmt::format("{}-{}", options_.method(), nfe), "iterations", options_.trainer.iterations);
}

void TrainPrinter::Step(const GsStep& step) {
  if (step.validation) validated_ = step.validation;
  if (step.trouble) std::cerr << "gas train: iteration " << step.iteration << ": " << *step.trouble << '\n';
  std::string note = "loss " + DistanceText(step.loss);
  if (validated_) note += ", held out " + DistanceText(*validated_);
  progress_->Update(step.iteration, note);
}

void TrainPrinter::Trained(const TrainedSolver& solver) {
  progress_.reset();
  std::string held_out;
  if (solver.held_out_distance) {
    held_out =
        fmt::format("held-out {} distance {} after ", options_.loss, DistanceText(*solver.held_out_distance));
  }
  std::cout << fmt::format("{}-{}: {}{} iterations, {} network evaluations\n", options_.method(), solver.nfe,
                           held_out, solver.iterations, solver.evaluations)
            << std::flush;
}

}  // namespace gas::cli
