#include "gas/memory/run_memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/core/device_memory.h"
#include "gas/core/error.h"
#include "gas/core/memory.h"

namespace gas {
namespace {

// States of a batch that a sampler has at once: noise, state, and earlier states and predictions.
constexpr int64_t kStatesOfSampler = 8;
// ImagesOf decodes so many at once.
constexpr int64_t kDecodedAtOnce = 16;

// Weights and other data of this process; the pages of programs are counted when they have been used.
int64_t DataHeld(torch::Device device) {
  if (!device.is_cpu()) return AllocatedBytes(device);
  ReturnFreedMemory();
  return ResidentNow().anonymous;
}

int64_t ProgramHeld(torch::Device device) { return device.is_cpu() ? ResidentNow().files : 0; }

int64_t StatesOfSampler(const ModelMemory& model, int64_t batch) {
  return kStatesOfSampler * batch * model.state;
}

}  // namespace

ModelMemory MeasureModel(const Model& model, Passes passes, int64_t largest_batch) {
  MakeFirstEvaluation(model, passes);
  ModelMemory memory{.device = model.device, .held = DataHeld(model.device)};
  memory.network = MeasureNetwork(model, passes, largest_batch);
  if (passes != Passes::kBackward) memory.decoder = MeasureDecoder(model);
  memory.held += ProgramHeld(model.device);
  memory.state = c10::multiply_integers(model.shape) * static_cast<int64_t>(sizeof(float));
  return memory;
}

int64_t SamplingBytes(const ModelMemory& model, const SamplingNeeds& needs) {
  const int64_t sampler =
      model.network.forward.Of(needs.batch, model.device) + StatesOfSampler(model, needs.batch);
  const int64_t decoder = needs.images ? model.decoder.working * std::min(needs.batch, kDecodedAtOnce) : 0;
  return model.held + std::max(needs.encoding, needs.kept_bytes + std::max(sampler, decoder));
}

int64_t TrainingBytes(const ModelMemory& model, const BesideNetwork& beside, int64_t part, int64_t kept) {
  // With none kept the backward pass still has the activations of the evaluation that it makes again.
  const int64_t alive = std::max<int64_t>(1, kept);
  const int64_t student = alive * model.network.kept.Of(part, model.device) +
                          model.network.backward.Of(part, model.device) + beside.per_sample * part;
  const int64_t working = std::max(student, beside.alone_per_sample * part);
  return model.held + beside.held + working + StatesOfSampler(model, part);
}

int64_t FitBytes(const ModelMemory& model, const FitNeeds& needs) {
  const int64_t trajectory = needs.states_of_each * model.state;
  const int64_t network =
      model.network.forward.Of(needs.batch, model.device) + StatesOfSampler(model, needs.batch);
  // A batch's states are gathered, joined, and written to a shard from a copy.
  const int64_t making =
      needs.made_now ? std::max(network + 3 * needs.batch * trajectory, 2 * needs.kept * trajectory) : 0;
  // float64 columns and target, as they are, weighted, and gathered for a factorisation.
  const int64_t equations = 3 * (needs.unknowns + 1) * needs.batch * 2 * model.state;
  const int64_t outputs = std::min(needs.cache_bytes, needs.fitted * needs.evaluations * model.state);
  const int64_t fitting = needs.kept * trajectory + outputs + std::max(network, equations);
  return model.held + std::max(making, fitting);
}

int64_t LargestBatch(int64_t asked, int64_t least, int64_t limit,
                     const std::function<int64_t(int64_t batch)>& bytes_of) {
  int64_t batch = asked;
  while (bytes_of(batch) > limit) {
    GAS_CHECK(batch > least, Errc::kBadOption, "run.memory = ", MemoryText(limit), ", must be at least ",
              MemoryText(bytes_of(batch)), ", which a batch of ", batch, " takes");
    batch = std::max(least, (batch + 1) / 2);
  }
  return batch;
}

std::string MemoryText(int64_t bytes) {
  const double gibibytes = static_cast<double>(bytes) / (int64_t{1} << 30);
  if (gibibytes >= 1) return fmt::format("{:.2f} GiB", gibibytes);
  return fmt::format("{:.0f} MiB", gibibytes * 1024);
}

}  // namespace gas
