// Small runs of the program, each of a second or two, that are broken off and finished.
#ifndef GAS_TESTS_RESUME_RUNS_H_
#define GAS_TESTS_RESUME_RUNS_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace gas::testing {

// The words of a command after `gas`. What it writes lies in the folder `out` of where it runs.
struct BreakableRun {
  const char* name;
  std::vector<std::string> words;
};

// teacher, fit, train and pretrain.
const std::vector<BreakableRun>& BreakableRuns();

// A suite of the runs, which share what they read: teacher data and images.
class BreakableRunTest : public ::testing::TestWithParam<BreakableRun> {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  // Lets `folder` be a place where runs are made.
  static void LinkInputs(const std::filesystem::path& folder);

 private:
  static TempFolder* inputs_;
};

// Sent once the program has worked for so long: seconds of processor time since the folder `out` is there,
// which other programs on the machine do not change. Before that it has not begun.
struct Signal {
  int number;
  double after;
};

struct Ended {
  int status = 0;  // the exit status, or 128 + the signal that ended the program
  std::string errors;
  double seconds = 0;  // as those of a signal
};

// Runs it in `where`, which has a link to the inputs, and sends the signal if it is still running then.
// `environment`: such as "LD_PRELOAD=...".
Ended RunOnce(const BreakableRun& run, const std::filesystem::path& where,
              const std::optional<Signal>& signal = {}, const std::vector<std::string>& environment = {});

// The lasting results in `where`: of each file its bytes, without what differs from run to run, times and
// memory.
std::map<std::string, std::string> ResultsIn(const std::filesystem::path& where);

// The files under `where` that an ended run should not have left: temporary ones and locks.
std::vector<std::string> LeftoversIn(const std::filesystem::path& where);

}  // namespace gas::testing

#endif  // GAS_TESTS_RESUME_RUNS_H_
