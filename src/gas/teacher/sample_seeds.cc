#include "gas/teacher/sample_seeds.h"

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/shown.h"
#include "gas/solver/not_finite.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

// The samples are looked at once they are on the host; only if one is not finite the batch is run again to
// find the step.
void CheckFinite(const Tensor& images, const SampleInputs& inputs, int64_t begin, const StepTable& table,
                 const Denoiser& denoiser, torch::Device device) {
  if (images.isfinite().all().item<bool>()) return;
  const std::string what = "sampling with " + Printable(table.method) +
                           ", nfe = " + std::to_string(table.nfe()) + ": the sample of ";
  const std::optional<NotFinite> found =
      FindNotFinite(table, denoiser, inputs.noise.to(device), inputs.condition.To(device));
  GAS_CHECK(found, Errc::kNumeric, what, "a seed in the batch from row ", begin,
            " has entries that are not finite, but not in a second run: the network is not the same twice");
  const std::string which = inputs.seeds.empty() ? "row " + std::to_string(begin + found->row)
                                                 : "seed " + std::to_string(inputs.seeds[found->row]);
  Fail(Errc::kNumeric, what, which, " has entries that are not finite, first in ", found->place);
}

Samples SampleOneBatch(const StepTable& table, const Denoiser& denoiser, torch::Device device,
                       const SampleInputs& inputs, bool keep_states) {
  std::vector<Tensor> states, predictions;
  SampleOptions options;
  options.on_state = [&](int64_t n, const Tensor& x) {
    CheckInterrupt();
    if (keep_states && n < table.nfe()) states.push_back(x.cpu());
  };
  if (keep_states) {
    options.on_data_prediction = [&](int64_t, const Tensor& m) { predictions.push_back(m.cpu()); };
  }
  Samples samples;
  samples.noise = inputs.noise;
  samples.condition = inputs.condition;
  samples.images = RunTable(table, denoiser, inputs.noise.to(device), inputs.condition.To(device), options)
                       .cpu()
                       .contiguous();
  if (keep_states) {
    samples.states = torch::stack(states, 1);
    samples.data_predictions = torch::stack(predictions, 1);
  }
  return samples;
}

// What these requests begin with, but for the noise.
SampleInputs AskedFor(const Model& model, std::span<const Request> requests) {
  SampleInputs inputs;
  for (const Request& request : requests) inputs.seeds.push_back(request.seed);
  if (model.conditioner) inputs.condition = model.conditioner->Of(requests);
  return inputs;
}

Tensor Joined(const std::vector<Tensor>& parts) { return parts.empty() ? Tensor() : torch::cat(parts); }

// Gathers batches of samples into one.
class Collector {
 public:
  void Add(const Samples& batch) {
    Append(noise_, batch.noise);
    Append(images_, batch.images);
    conditions_.push_back(batch.condition);
    Append(states_, batch.states);
    Append(data_predictions_, batch.data_predictions);
  }
  Samples All() const {
    return {Joined(noise_), Joined(images_), Condition::Joined(conditions_), Joined(states_),
            Joined(data_predictions_)};
  }

 private:
  static void Append(std::vector<Tensor>& parts, const Tensor& part) {
    if (part.defined()) parts.push_back(part);
  }

  std::vector<Tensor> noise_, images_, states_, data_predictions_;
  std::vector<Condition> conditions_;
};

}  // namespace

SampleInputs SampleInputs::Rows(int64_t begin, int64_t end) const {
  SampleInputs rows{noise.slice(0, begin, end), condition.Rows(begin, end), {}};
  if (!seeds.empty()) rows.seeds.assign(seeds.begin() + begin, seeds.begin() + end);
  return rows;
}

void SampleInBatches(const StepTable& table, const Denoiser& denoiser, torch::Device device, int64_t count,
                     const std::function<SampleInputs(int64_t begin, int64_t end)>& inputs,
                     const SamplingOptions& options, const std::function<void(const SampleBatch&)>& use) {
  const torch::NoGradGuard no_grad;
  GAS_CHECK(options.batch >= 1, Errc::kBadOption, "sampling: batch = ", options.batch,
            ", must be at least 1");
  for (int64_t begin = 0; begin < count; begin += options.batch) {
    const int64_t end = std::min(count, begin + options.batch);
    const SampleInputs now = inputs(begin, end);
    const SampleBatch batch{begin, SampleOneBatch(table, denoiser, device, now, options.keep_states)};
    CheckFinite(batch.samples.images, now, begin, table, denoiser, device);
    use(batch);
    if (options.progress) options.progress(end);
  }
}

void SampleRequests(const Model& model, const StepTable& table, std::span<const Request> requests,
                    const SamplingOptions& options, const std::function<void(const SampleBatch&)>& use) {
  const auto inputs = [&](int64_t begin, int64_t end) {
    SampleInputs now = AskedFor(model, requests.subspan(begin, end - begin));
    now.noise = NoiseFor(now.seeds, model.shape);
    return now;
  };
  SampleInBatches(table, *model.denoiser, model.device, static_cast<int64_t>(requests.size()), inputs,
                  options, use);
}

Samples CollectSamples(const Model& model, const StepTable& table, std::span<const Request> requests,
                       const SamplingOptions& options) {
  Collector collector;
  SampleRequests(model, table, requests, options,
                 [&](const SampleBatch& batch) { collector.Add(batch.samples); });
  return collector.All();
}

Samples CollectSamples(const Model& model, const StepTable& table, const SampleInputs& inputs,
                       const SamplingOptions& options) {
  Collector collector;
  SampleInBatches(
      table, *model.denoiser, model.device, inputs.noise.size(0),
      [&](int64_t begin, int64_t end) { return inputs.Rows(begin, end); }, options,
      [&](const SampleBatch& batch) { collector.Add(batch.samples); });
  return collector.All();
}

}  // namespace gas
