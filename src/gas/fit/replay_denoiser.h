// A network that remembers what it said.
#ifndef GAS_FIT_REPLAY_DENOISER_H_
#define GAS_FIT_REPLAY_DENOISER_H_

#include <memory>
#include <utility>
#include <vector>

#include "gas/fit/trajectories.h"
#include "gas/schedule/denoiser.h"

namespace gas {

// Gives the outputs of earlier evaluations again before it asks the network, so that a table whose first rows
// have been run costs the evaluations of the others alone. For one run of one table.
class ReplayDenoiser : public Denoiser {
 public:
  // New outputs are added to `outputs`, which must outlive this.
  ReplayDenoiser(std::shared_ptr<const Denoiser> inner, std::vector<Tensor>& outputs)
      : inner_(std::move(inner)), outputs_(outputs) {}

  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    if (next_ == outputs_.size()) {
      outputs_.push_back(inner_->Predict(x, at, condition));
      evaluations_ += x.size(0);
    }
    return outputs_[next_++];
  }

  // Those that the network made, each of one sample.
  int64_t evaluations() const { return evaluations_; }

 private:
  std::shared_ptr<const Denoiser> inner_;
  std::vector<Tensor>& outputs_;
  mutable size_t next_ = 0;
  mutable int64_t evaluations_ = 0;
};

// The trajectories of a source, whose networks remember: each run of a piece begins with what the one before
// it was told. outputs [piece][evaluation] must have a place for each piece and outlive the source.
inline TrajectorySource Recorded(const TrajectorySource& source, std::vector<std::vector<Tensor>>& outputs) {
  return {source.sizes, [source, &outputs](int64_t piece) {
            Trajectories part = source.read(piece);
            part.denoiser = std::make_shared<ReplayDenoiser>(part.denoiser, outputs[piece]);
            return part;
          }};
}

// How many evaluations, of one sample each, made these outputs.
inline int64_t EvaluationsIn(const std::vector<std::vector<Tensor>>& outputs) {
  int64_t evaluations = 0;
  for (const std::vector<Tensor>& of_piece : outputs) {
    for (const Tensor& output : of_piece) evaluations += output.size(0);
  }
  return evaluations;
}

}  // namespace gas

#endif  // GAS_FIT_REPLAY_DENOISER_H_
