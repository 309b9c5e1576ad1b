// What a fit that has not finished keeps in its run folder, in `unfinished`: the trajectories that it made,
// the numbers of evaluations that are done, and how far the search has come. It is removed at the end.
#ifndef GAS_FIT_UNFINISHED_FIT_H_
#define GAS_FIT_UNFINISHED_FIT_H_

#include <filesystem>
#include <optional>

#include "gas/fit/fit_journal.h"
#include "gas/fit/fit_problem.h"

namespace gas {

class UnfinishedFit {
 public:
  explicit UnfinishedFit(const std::filesystem::path& run_folder) : folder_(run_folder / "unfinished") {}

  // Before anything is written: Error(kBadFile) names what differs from the run that has left something here.
  void Begin(const Fingerprint& fingerprint);
  // Samples of the usual kind of teacher data, those that are there and the others made now.
  Samples Make(const Model& model, const TeacherSpec& spec, const StepTable& table,
               const std::vector<Seed>& seeds, int64_t batch,
               const std::function<void(int64_t done)>& progress) const;
  // What is known of one number of evaluations. After Begin.
  JournalPart Of(int64_t nfe);
  // Nothing unless Begin found that it is this run's.
  void Remove();

 private:
  std::filesystem::path folder_;
  std::optional<FitJournal> journal_;
};

}  // namespace gas

#endif  // GAS_FIT_UNFINISHED_FIT_H_
