#include "gas/cli/fit_printer.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/text.h"

namespace gas::cli {

FitRunHooks FitPrinter::Hooks() {
  return {.samples = [this](int64_t done, int64_t total) { Samples(done, total); },
          .search = [this](const SearchProgress& at) { Search(at); },
          .fitted = [this](const FitRunPart& part) { Fitted(part); }};
}

void FitPrinter::Samples(int64_t done, int64_t total) {
  if (!samples_) samples_.emplace("teacher", "samples", total);
  samples_->Update(done);
}

void FitPrinter::Search(const SearchProgress& at) {
  samples_.reset();
  if (at.what != now_.what) PrintStep();
  now_ = at;
  if (!search_) search_.emplace(fmt::format("fit-{}", at.nfe), "evaluations", at.budget);
  search_->Update(std::min(at.spent, at.budget), at.what);
}

void FitPrinter::Fitted(const FitRunPart& part) {
  PrintStep();
  now_ = {};
  samples_.reset();
  search_.reset();
  const FittedSolver& found = part.solver;
  const std::string loss =
      found.held_out_objective ? fmt::format(", loss {}", DistanceText(*found.held_out_objective)) : "";
  std::cout << fmt::format(
                   "fit-{}: held-out distance {}, {:.3f} of dpmpp-3m on the same grid{}; {}{}; lint: {}; {} "
                   "network "
                   "evaluations and {} of held-out errors, {:.1f} s\n",
                   part.nfe, DistanceText(found.held_out), found.held_out / found.base_held_out, loss,
                   found.shape, found.refined ? ", all numbers refined" : "", LintVerdictName(found.lint),
                   found.evaluations, found.held_out_evaluations, part.seconds)
            << std::flush;
}

void FitPrinter::PrintStep() {
  if (now_.what.empty()) return;
  search_.reset();
  std::cout << fmt::format("fit-{}: {}: {} after {} evaluations\n", now_.nfe, now_.what,
                           DistanceText(now_.best), now_.spent)
            << std::flush;
}

}  // namespace gas::cli
