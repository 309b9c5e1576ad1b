// How a network in another process is run.
#ifndef GAS_MODELS_WORKER_OPTIONS_H_
#define GAS_MODELS_WORKER_OPTIONS_H_

#include <cstdint>
#include <optional>

namespace gas {

struct WorkerOptions {
  std::optional<int64_t> count = {};     // processes that share a batch; none: one
  std::optional<double> timeout_s = {};  // for the answer to one request; none: kWorkerTimeout
};

inline constexpr double kWorkerTimeout = 600;  // seconds

}  // namespace gas

#endif  // GAS_MODELS_WORKER_OPTIONS_H_
