#include "gas/models/dit/dit_denoiser.h"

#include "gas/models/class_labels.h"
#include "gas/models/run_network.h"
#include "gas/models/training_times.h"
#include "gas/schedule/alphas_cumprod.h"

namespace gas::dit {
namespace {

constexpr double kLatentStd = 1;  // of scaled latents: scale factors are chosen for it
constexpr TrainingTimes kDitTimes = {};

// The network's own time at ours.
Tensor TimeToldAt(Kind kind, const Tensor& t) { return kind == Kind::kDit ? kDitTimes.ToldAt(t) : 1 - t; }

// A clean state beside noise of standard deviation sigma is (1 - t) (x + sigma eps) at t = sigma / (1 +
// sigma).
// Its own time there is 1 - t too.
EncoderInput StraightInputAt(double sigma) {
  const double t = sigma / (1 + sigma);
  return {.scale = 1 - t, .timestep = 1 - t};
}

}  // namespace

SchedulePtr ScheduleOf(Kind kind, std::optional<double> t_eps) {
  if (kind == Kind::kSit) return FlowSchedule(t_eps.value_or(kDefaultTEps));
  return DiscreteSchedule(LinearAlphasCumprod(kDitTimes.steps), t_eps);
}

PredictionType DitDenoiser::prediction_type() const {
  return kind_ == Kind::kDit ? PredictionType::kNoise : PredictionType::kFlow;
}

Tensor DitDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  if (condition.labels.defined())
    CheckClassLabels("", condition.labels, /*least=*/-1, network_->config().label_rows);
  const Tensor output = RunNetwork(
      x, ToLike(TimeToldAt(kind_, at.t), x), dtype_,
      [&](const Tensor& part, const Tensor& time, int64_t begin, int64_t end) {
        const Condition rows = condition.Rows(begin, end);
        return network_->forward(part, time.expand({end - begin}), rows.labels).slice(1, 0, x.size(1));
      });
  return kind_ == Kind::kDit ? output : -output;
}

DitEncoder::DitEncoder(std::shared_ptr<Transformer> network, Kind kind, SchedulePtr schedule)
    : network_(std::move(network)), kind_(kind), schedule_(std::move(schedule)) {
  network_->eval();
  for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
}

std::vector<Tensor> DitEncoder::Maps(const Tensor& states, double sigma, const Condition& condition) const {
  const EncoderInput input =
      kind_ == Kind::kDit ? DiscreteInputAt(*schedule_, kDitTimes, sigma) : StraightInputAt(sigma);
  const Tensor x = (input.scale * states).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor times = torch::full({states.size(0)}, input.timestep, states.options());
  return network_->InnerMaps(x, times, condition.labels);
}

std::vector<int64_t> DitEncoder::shape() const {
  const NetworkConfig& c = network_->config();
  return {c.in_channels, c.input_size, c.input_size};
}

double DitEncoder::data_std() const { return kLatentStd; }

}  // namespace gas::dit
