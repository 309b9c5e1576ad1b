#include "gas/models/process/process_conformance.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/models/process/process_codec.h"
#include "gas/models/process/process_conditioner.h"
#include "gas/models/process/process_denoiser.h"
#include "gas/models/process/question.h"

namespace gas {
namespace {

constexpr int64_t kBatch = 3;
// More than a run waits: a process that is slow to quit on a busy machine is not wrong.
constexpr std::chrono::seconds kTimeToQuitHere{10};
constexpr double kTime = 0.4;  // of all times between 0 and 1, where there is both signal and noise

// What rounding may do in a type. Libraries choose other algorithms for other batches, TF32 among them, and
// the type of the pipe rounds once more.
struct Rounding {
  double batches;   // between a sample alone and in a batch, over the largest number
  double step;      // of central differences
  double relative;  // of a derivative
  double floor;     // of a derivative where it is small, over the output's length
};

Rounding RoundingOf(torch::ScalarType dtype) {
  if (dtype == torch::kBFloat16) return {.batches = 3e-2, .step = 3e-2, .relative = 0.2, .floor = 0.2};
  if (dtype == torch::kFloat16) return {.batches = 5e-3, .step = 1e-2, .relative = 0.1, .floor = 0.1};
  return {.batches = 1e-3, .step = 1e-3, .relative = 0.03, .floor = 0.003};
}

// Standard normal numbers that are the same in every run; the random state of others is not touched.
Tensor Noise(std::vector<int64_t> shape, int64_t batch) {
  shape.insert(shape.begin(), batch);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  return torch::randn(shape, generator, torch::kFloat32);
}

double LargestDifference(const Tensor& a, const Tensor& b) {
  const Tensor first = a.to(torch::kFloat64), second = b.to(torch::kFloat64);
  const double largest = first.abs().max().item<double>();
  return (first - second).abs().max().item<double>() / (largest > 0 ? largest : 1);
}

class Examination {
 public:
  explicit Examination(std::shared_ptr<const ProcessPool> pool)
      : pool_(std::move(pool)), hello_(pool_->hello()) {}

  ConformanceRecord All() {
    Check("output", [&] { return Output(); });
    Check("repeats itself", [&] { return Repeats(); });
    Check("samples do not depend on each other", [&] { return Independence(); });
    if (hello_.texts) Check("requests by their numbers", [&] { return Numbers(); });
    if (hello_.gradient) Check("gradient", [&] { return Gradient(); });
    if (!hello_.image.empty()) Check("decodes", [&] { return Decodes(); });
    if (hello_.decode_gradient) Check("gradient of images", [&] { return GradientOfImages(); });
    if (hello_.encodes) Check("encodes", [&] { return Encodes(); });
    Check("quits when its input ends", [&] { return Quits(); });
    return record_;
  }

 private:
  // `measure` returns what it found, and throws for what is wrong.
  void Check(const std::string& name, const std::function<std::string()>& measure) {
    if (!pool_->usable()) pool_ = pool_->StartAnew();
    try {
      record_.push_back({name, true, measure()});
    } catch (const Error& error) {
      if (IsInterrupt(error)) throw;
      record_.push_back({name, false, error.what()});
    }
  }

  // With conditions of every kind that there is.
  ProcessQuestion Usual() const {
    const NoiseSchedule& schedule = *hello_.schedule;
    const double t = kTime * schedule.t_start(), alpha = schedule.Alpha(t), sigma = schedule.Sigma(t);
    const Tensor states = std::hypot(alpha, sigma) * Noise(hello_.shape, kBatch);
    ProcessQuestion question{.t = t, .alpha = alpha, .sigma = sigma, .state = states.to(hello_.dtype)};
    if (hello_.classes > 0) question.labels = torch::arange(kBatch) % (hello_.classes + 1) - 1;
    if (hello_.texts) question.requests = Requests({"a red bicycle", "", "two cats on a roof"});
    if (hello_.guidance != GuidanceSide::kHere) question.guidance = 2.0;
    return question;
  }

  Tensor Requests(const std::vector<std::string>& prompts) const {
    std::vector<Request> requests;
    for (const std::string& prompt : prompts) requests.push_back({.seed = requests.size(), .prompt = prompt});
    return ProcessConditioner(hello_, {}).Of(requests).tensors.at(kRequestEntry);
  }

  Tensor Finite(const Tensor& numbers) const {
    GAS_CHECK(numbers.isfinite().all().item<bool>(), Errc::kNumeric, "not all numbers are finite");
    return numbers;
  }

  Tensor Asked(const ProcessQuestion& question) const { return Finite(OutputOf(*pool_, question)); }

  std::string Output() const {
    const Tensor output = Asked(Usual());
    return fmt::format("{} samples of the state's shape in {}, root mean square {:.3g}", kBatch,
                       c10::toString(output.scalar_type()),
                       output.to(torch::kFloat64).square().mean().sqrt().item<double>());
  }

  std::string Repeats() const {
    const double difference = LargestDifference(Asked(Usual()), Asked(Usual()));
    GAS_CHECK(difference == 0, Errc::kBadFile, "the same request was answered twice with a difference of ",
              difference, " of the largest number, must be 0");
    return "the same request has the same answer";
  }

  std::string Independence() const {
    ProcessQuestion all = Usual();
    const Tensor together = Asked(all);
    double difference = 0;
    for (int64_t i = 0; i < kBatch; ++i) {
      ProcessQuestion one = all;
      one.state = all.state.slice(0, i, i + 1);
      if (all.labels.defined()) one.labels = all.labels.slice(0, i, i + 1);
      if (all.requests.defined()) one.requests = all.requests.slice(0, i, i + 1);
      difference = std::max(difference, LargestDifference(together.slice(0, i, i + 1), Asked(one)));
    }
    const double bound = RoundingOf(hello_.dtype).batches;
    GAS_CHECK(difference <= bound, Errc::kBadFile, "a sample alone and in a batch of ", kBatch, " differ by ",
              difference, " of the largest number, must be at most ", bound);
    return fmt::format(
        "a sample alone and in a batch of {} differ by {:.2g} of the largest number (bound {})", kBatch,
        difference, bound);
  }

  std::string Numbers() const {
    ProcessQuestion question = Usual();
    question.state = question.state.slice(0, 0, 1).expand_as(question.state).contiguous();
    const Tensor before = Asked(question);
    const double bound = RoundingOf(hello_.dtype).batches;
    GAS_CHECK(LargestDifference(before[0], before[2]) > 0, Errc::kBadFile,
              "two prompts have the same output for the same state");
    ProcessQuestion turned = question;
    turned.requests = Requests({"something new", "", "a red bicycle"});
    if (hello_.seeds) turned.requests.copy_(question.requests.flip(0));
    const double difference = LargestDifference(before[0], Asked(turned)[2]);
    GAS_CHECK(difference <= bound, Errc::kBadFile,
              "a request in another place of the batch changes its sample by ", difference,
              " of the largest number, must be at most ", bound);
    GAS_CHECK(LargestDifference(before, Asked(question)) == 0, Errc::kBadFile,
              "a request that it was told before has another answer after a new one");
    return "samples follow their requests";
  }

  // What is said of the derivative of an output along a path, and the output there.
  struct Derivative {
    const char* by;
    double found;
    double step;
    std::function<Tensor(double)> output;
  };

  // Of the output's product with a direction, against central differences. Returns the error over the larger
  // of the derivative and `length`, of the output.
  double CheckDerivative(const Derivative& d, const Tensor& direction, double length) const {
    const auto at = [&](double by) {
      return (d.output(by).to(torch::kFloat64) * direction).sum().item<double>();
    };
    const double expected = (at(d.step) - at(-d.step)) / (2 * d.step), error = std::abs(d.found - expected);
    const Rounding rounding = RoundingOf(hello_.dtype);
    const double bound = rounding.relative * std::abs(expected) + rounding.floor * length;
    GAS_CHECK(error <= bound, Errc::kBadFile, "the derivative by ", d.by, " is ", d.found,
              ", central differences give ", expected, ", must agree within ", bound);
    return error / std::max(std::abs(expected), length);
  }

  // By the state along the derivative itself, where nothing cancels, of the product with the output's own
  // direction.
  std::string Gradient() const {
    const ProcessQuestion question = Usual();
    const Tensor output = Asked(question).to(torch::kFloat64);
    const double length = output.norm().item<double>(), step = RoundingOf(hello_.dtype).step;
    GAS_CHECK(length > 0, Errc::kBadFile, "the output is zero, which leaves no gradient to look at");
    const Tensor direction = output / length;
    const QuestionGradient found = GradientOf(*pool_, question, direction.to(torch::kFloat32).contiguous());
    const Tensor by_state = Finite(found.state).to(torch::kFloat64), level = Finite(found.level).sum(0);
    const double slope = by_state.norm().item<double>();
    double worst = 0;
    if (slope > 0) {
      const auto moved = [&](double by) {
        ProcessQuestion there = question;
        there.state = (question.state.to(torch::kFloat64) + by / slope * by_state).to(hello_.dtype);
        return Asked(there);
      };
      const double all = question.state.to(torch::kFloat64).norm().item<double>();
      worst = CheckDerivative({"the state", slope, step * all, moved}, direction, length);
    }
    const std::pair<const char*, double ProcessQuestion::*> levels[] = {
        {"t", &ProcessQuestion::t}, {"alpha", &ProcessQuestion::alpha}, {"sigma", &ProcessQuestion::sigma}};
    for (int64_t i = 0; i < 3; ++i) {
      const auto member = levels[i].second;
      const auto moved = [&](double by) {
        ProcessQuestion there = question;
        there.*member += by;
        return Asked(there);
      };
      const Derivative derivative{levels[i].first, level[i].item<double>(),
                                  step * std::max(1e-2, std::abs(question.*member)), moved};
      worst = std::max(worst, CheckDerivative(derivative, direction, length));
    }
    return fmt::format("agrees with central differences to {:.2g}", worst);
  }

  ProcessCodec Codec() const { return {pool_, hello_.shape, hello_.image}; }

  std::string Decodes() const {
    const Tensor images = Finite(Codec().Decode(Noise(hello_.shape, 2)));
    const Tensor alone = Codec().Decode(Noise(hello_.shape, 2).slice(0, 1));
    const double bound = RoundingOf(hello_.dtype).batches,
                 difference = LargestDifference(images[1], alone[0]);
    GAS_CHECK(difference <= bound, Errc::kBadFile, "an image alone and in a batch differ by ", difference,
              " of the largest number, must be at most ", bound);
    return fmt::format("images of the right shape, from {:.2f} to {:.2f}", images.min().item<double>(),
                       images.max().item<double>());
  }

  // As Gradient by the state.
  std::string GradientOfImages() const {
    const Tensor states = Noise(hello_.shape, 2).to(hello_.dtype).to(torch::kFloat32).requires_grad_();
    const Tensor images = Codec().Decode(states), plain = images.detach().to(torch::kFloat64);
    const double length = plain.norm().item<double>();
    GAS_CHECK(length > 0, Errc::kBadFile, "the images are zero, which leaves no gradient to look at");
    const Tensor direction = plain / length;
    const Tensor found =
        Finite(torch::autograd::grad({images}, {states}, {direction.to(torch::kFloat32)})[0]);
    const double slope = found.to(torch::kFloat64).norm().item<double>();
    const auto moved = [&](double by) { return Codec().Decode(states.detach() + by / slope * found); };
    const double step = RoundingOf(hello_.dtype).step * states.norm().item<double>();
    GAS_CHECK(slope > 0, Errc::kBadFile, "the derivative of the images is zero");
    return fmt::format("agrees with central differences to {:.2g}",
                       CheckDerivative({"the state", slope, step, moved}, direction, length));
  }

  std::string Encodes() const {
    Finite(Codec().Encode(Noise(hello_.image, 2).clamp(-1, 1)));
    return "states of the right shape";
  }

  std::string Quits() const {
    const auto start = std::chrono::steady_clock::now();
    const bool quit = pool_->End(kTimeToQuitHere);
    GAS_CHECK(quit, Errc::kBadFile, "it did not quit within ", kTimeToQuitHere.count(),
              " seconds and was ended by signals");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return fmt::format("after {:.1f} seconds", took.count());
  }

  std::shared_ptr<const ProcessPool> pool_;
  ProcessHello hello_;
  ConformanceRecord record_;
};

}  // namespace

ConformanceRecord CheckProcess(const Model& model) { return Examination(OwnDenoiser(model).pool()).All(); }

}  // namespace gas
