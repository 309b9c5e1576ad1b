#include "gas/eval/dtype_choice.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>
#include <torch/cuda.h>

#include "gas/core/autocast.h"
#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/models/network_input.h"
#include "gas/nn/product_dtype.h"
#include "gas/teacher/image_start.h"
#include "gas/teacher/sample_seeds.h"

namespace gas {
namespace {

constexpr int64_t kComparedSeeds = 4, kWarningBatch = 8;

// An entry of an object; null if `json` is none, or has no such entry.
const nlohmann::json* Entry(const nlohmann::json* json, const char* key) {
  if (json == nullptr || !json->is_object()) return nullptr;
  const auto found = json->find(key);
  return found == json->end() ? nullptr : &*found;
}

double SecondsOfOne(const Model& model, const NetworkInput& input) {
  using Clock = std::chrono::steady_clock;
  CheckInterrupt();
  const auto start = Clock::now();
  model.denoiser->Predict(input.state, input.at, input.condition);
  if (model.device.is_cuda()) torch::cuda::synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Samples of a few seeds.
Tensor ComparedSamples(const Model& model, const SolverInUse& solver) {
  const std::vector<Request> requests = RequestsFor(SeedRange(0, kComparedSeeds));
  const SamplingOptions options{.batch = kComparedSeeds};
  if (!solver.clean.defined()) return CollectSamples(model, solver.table, requests, options).images;
  Tensor images;  // of the one batch
  SampleFromImage(model, solver.table, solver.clean, requests, options,
                  [&](const SampleBatch& batch) { images = batch.samples.images; });
  return images;
}

// Mean squared difference of the solver's samples; infinite if those in bfloat16 are not finite.
double DifferenceOfSamples(const Model& float32, const Model& bfloat16, const SolverInUse& solver) {
  const Tensor exact = ComparedSamples(float32, solver);
  try {
    return (exact - ComparedSamples(bfloat16, solver)).square().mean().item<double>();
  } catch (const Error& error) {
    if (error.code() != Errc::kNumeric) throw;
    return std::numeric_limits<double>::infinity();
  }
}

// Why bfloat16 will not do for this solver; nothing if it will.
std::optional<std::string> Objection(const Model& float32, const Model& bfloat16, const SolverInUse& solver) {
  if (!solver.error) {
    return fmt::format("no error of {} is recorded to hold its rounding against", solver.label);
  }
  const double difference = DifferenceOfSamples(float32, bfloat16, solver);
  if (difference <= *solver.error) return std::nullopt;
  return fmt::format("it changes samples of {} by {:.2g} in the mean square, more than their error of {:.2g}",
                     solver.label, difference, *solver.error);
}

}  // namespace

std::optional<double> RecordedError(const nlohmann::json& provenance) {
  // The options in a file are whatever it holds. A fit has no train.loss: its distance is the mean square
  // whatever it minimises.
  const nlohmann::json* options = Entry(&provenance, "options");
  const nlohmann::json* loss = Entry(Entry(options, "train.loss"), "value");
  if (loss != nullptr && *loss != "l2") return std::nullopt;
  const nlohmann::json* error = Entry(&provenance, "held_out_distance");
  if (error == nullptr || !error->is_number()) return std::nullopt;
  return error->get<double>();
}

double NarrowSpeedUp(const Model& narrow, int64_t batch) {
  const torch::NoGradGuard no_grad;
  const NetworkInput input = InputFor(narrow, batch);
  const auto in_float32 = [&] {
    const NoAutocastGuard exact;
    return SecondsOfOne(narrow, input);
  };
  in_float32();
  SecondsOfOne(narrow, input);
  double single = std::numeric_limits<double>::infinity(), half = single;
  for (int i = 0; i < 2; ++i) {
    single = std::min(single, in_float32());
    half = std::min(half, SecondsOfOne(narrow, input));
  }
  return single / half;
}

DtypeChoice ChooseDtype(const Model& float32, const std::function<Model()>& open_bfloat16,
                        const std::vector<SolverInUse>& solvers, int64_t batch) {
  const auto keep = [](const std::string& why) { return DtypeChoice{{}, why + "; float32 is kept"}; };
  std::optional<Model> bfloat16;
  try {
    bfloat16 = open_bfloat16();
  } catch (const Error& error) {
    if (error.code() != Errc::kBadOption && error.code() != Errc::kUnavailable) throw;
    return keep(error.what());
  }
  const double speed_up = NarrowSpeedUp(*bfloat16, batch);
  const std::string speed = fmt::format("bfloat16 is {:.2f} times as fast as float32", speed_up);
  if (speed_up < nn::kLeastSpeedUp) return keep(speed);
  for (const SolverInUse& solver : solvers) {
    const std::optional<std::string> objection = Objection(float32, *bfloat16, solver);
    if (objection) return keep(speed + ", but " + *objection);
  }
  return {std::move(bfloat16), speed + " and changes samples by no more than their error; bfloat16 is taken"};
}

std::optional<std::string> SlowDtype(const Model& narrow, torch::Dtype dtype, int64_t batch) {
  return nn::SlowDtypeText(dtype, 1 / NarrowSpeedUp(narrow, std::min(batch, kWarningBatch)));
}

}  // namespace gas
