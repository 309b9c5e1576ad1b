// Progress of a step that a user waits for: rate and time left. On a terminal one line that is drawn again
// and again; elsewhere, such as in a log file, a line a minute.
#ifndef GAS_CORE_PROGRESS_H_
#define GAS_CORE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace gas {

// Where progress is shown, and how often at most.
struct ProgressOutput {
  std::FILE* file = stderr;
  bool terminal = false;
  std::chrono::milliseconds every{60'000};

  // stderr: a few times a second if that is a terminal, otherwise once a minute.
  static ProgressOutput Usual();
};

class Progress {
 public:
  // `what` names the step, `unit` what is counted: "teacher", "samples".
  Progress(std::string what, std::string unit, int64_t total,
           const ProgressOutput& output = ProgressOutput::Usual());
  ~Progress();  // leaves the terminal on a fresh line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `note` is appended, such as a loss. What was done before the first call does not count for the rate,
  // since an earlier run may have done it.
  void Update(int64_t done, const std::string& note = "");
  double seconds() const;  // since the step began

 private:
  using Clock = std::chrono::steady_clock;
  std::string Line(int64_t done, Clock::time_point now) const;

  std::string what_, unit_;
  int64_t total_;
  ProgressOutput output_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
  struct Moment {
    int64_t done;
    Clock::time_point time;
  };
  std::optional<Moment> first_;  // update
};

}  // namespace gas

#endif  // GAS_CORE_PROGRESS_H_
