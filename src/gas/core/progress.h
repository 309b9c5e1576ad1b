// Progress of a step that a user waits for: rate and time left on one line of stderr; silent when that is no
// terminal.
#ifndef GAS_CORE_PROGRESS_H_
#define GAS_CORE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace gas {

class Progress {
 public:
  // `what` names the step, `unit` what is counted: "teacher", "samples".
  Progress(std::string what, std::string unit, int64_t total);
  ~Progress();  // leaves the terminal on a fresh line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows at most a few times a second. `note` is appended, such as a loss.
  void Update(int64_t done, const std::string& note = "");
  double seconds() const;

 private:
  std::string what_, unit_;
  int64_t total_;
  bool visible_, drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace gas

#endif  // GAS_CORE_PROGRESS_H_
