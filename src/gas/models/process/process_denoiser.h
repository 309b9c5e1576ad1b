// A network that runs in another program, asked through a pipe (docs/process-denoiser.md has the protocol).
#ifndef GAS_MODELS_PROCESS_PROCESS_DENOISER_H_
#define GAS_MODELS_PROCESS_PROCESS_DENOISER_H_

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gas/io/child_process.h"
#include "gas/models/network_facts.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

// What a process says of its network in its first line; the shape is [C,H,W]. Messages begin with `where`.
// Throws Error(kBadFile) for whatever docs/process-denoiser.md does not allow.
NetworkFacts ParseProcessHello(std::string_view where, std::string_view line);

// Evaluations are pure as far as the process keeps to that, and one at a time: a second thread waits for the
// first.
class ProcessDenoiser : public Denoiser {
 public:
  // Starts `/bin/sh -c command` and waits for its first line, however long it loads its weights. Throws
  // Error(kUnavailable) if the process ends before, Error(kBadFile) for a line that is not allowed.
  explicit ProcessDenoiser(const std::string& command);

  PredictionType prediction_type() const override { return hello_.prediction; }
  // x [B,C,H,W] of any floating type and device; what goes through the pipe is float32. The output carries no
  // gradient: CheckNoGradientAsked. Throws Error(kUnavailable) when the process has ended, Error(kBadFile)
  // when it breaks the protocol. Entries that are not finite are the caller's to find.
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

  const NetworkFacts& hello() const { return hello_; }
  const std::string& hello_line() const { return hello_line_; }  // without its '\n'

 private:
  Tensor CheckedLabels(const Condition& condition, int64_t batch) const;

  std::string name_;  // "exec:COMMAND", for messages
  std::unique_ptr<ChildProcess> process_;
  mutable std::mutex one_at_a_time_;
  std::string hello_line_;
  NetworkFacts hello_;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_DENOISER_H_
