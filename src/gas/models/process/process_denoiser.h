// A network that runs in another program, asked through a pipe (docs/process-denoiser.md has the protocol).
#ifndef GAS_MODELS_PROCESS_PROCESS_DENOISER_H_
#define GAS_MODELS_PROCESS_PROCESS_DENOISER_H_

#include <memory>
#include <string>
#include <vector>

#include "gas/models/model.h"
#include "gas/models/process/process_pool.h"
#include "gas/schedule/denoiser.h"

namespace gas {

// How the network is used where its first line leaves that open.
struct ProcessUse {
  std::vector<int64_t> shape = {};  // of a state; empty: as the first line says
  double guidance = 1.0;            // sent to a network that applies guidance or takes its scale
};

// Evaluations are pure as far as the process keeps to that.
class ProcessDenoiser : public Denoiser {
 public:
  // Starts `/bin/sh -c command`; throws as the constructor of ProcessPool.
  explicit ProcessDenoiser(const std::string& command, const WorkerOptions& options = {})
      : ProcessDenoiser(std::make_shared<ProcessPool>(command, options)) {}
  explicit ProcessDenoiser(std::shared_ptr<const ProcessPool> pool, ProcessUse use = {});

  PredictionType prediction_type() const override { return hello().prediction; }
  // x [B,...] of any floating type and device; what goes through the pipe has the process's dtype. The output
  // carries a gradient, of the first order, if the process gives one; otherwise CheckNoGradientAsked. The
  // condition has "request" [B,n] uint8 for a process that takes texts (process_conditioner.h). Throws
  // Error(kUnavailable) when the process has ended or answers that it cannot, Error(kBadFile) when it breaks
  // the protocol. Entries that are not finite are the caller's to find.
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

  const ProcessHello& hello() const { return pool_->hello(); }
  const std::string& hello_line() const { return pool_->hello_line(); }
  const std::shared_ptr<const ProcessPool>& pool() const { return pool_; }

 private:
  std::shared_ptr<const ProcessPool> pool_;
  ProcessUse use_;
};

// That of a model as the family opens it, without guidance around it.
const ProcessDenoiser& OwnDenoiser(const Model& model);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_DENOISER_H_
