// What the adversarial part is for: a student with two evaluations on a grid of 25 narrow modes. The distance
// alone leaves many samples between modes, where several teacher samples are averaged; with an adversary more
// of them lie on modes, and no mode is given up.
#include "gas/grid/time_grid.h"
#include "gas/models/mixture/mixture.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/train/training_run.h"
#include "support/expect.h"

namespace gas {
namespace {

constexpr double kSpacing = 0.5, kStd = 0.04;
constexpr int64_t kModesPerSide = 5;

nlohmann::json Grid() {
  nlohmann::json grid = {{"weights", {}}, {"means", {}}, {"covariances", {}}};
  for (int64_t i = 0; i < kModesPerSide * kModesPerSide; ++i) {
    grid["weights"].push_back(1);
    const int64_t row = i / kModesPerSide, column = i % kModesPerSide;
    grid["means"].push_back(
        {kSpacing * static_cast<double>(row - 2), kSpacing * static_cast<double>(column - 2)});
    grid["covariances"].push_back({{kStd * kStd, 0}, {0, kStd * kStd}});
  }
  return grid;
}

// Two hidden layers on sines and cosines of the point.
class PlaneDiscriminator : public Discriminator {
 public:
  PlaneDiscriminator() {
    frequencies_ = torch::randn({2, kWaves}, torch::kFloat64) * 4;
    const int64_t sizes[] = {2 * kWaves, 64, 64, 1};
    for (int64_t i = 0; i < 3; ++i) {
      weights_.push_back(register_parameter("weight" + std::to_string(i),
                                            torch::randn({sizes[i], sizes[i + 1]}, torch::kFloat64) *
                                                std::sqrt(2.0 / static_cast<double>(sizes[i]))));
      biases_.push_back(
          register_parameter("bias" + std::to_string(i), torch::zeros({sizes[i + 1]}, torch::kFloat64)));
    }
  }
  Tensor forward(const Tensor& images, const Tensor&) override {
    const Tensor angle = images.flatten(1).mm(frequencies_);
    Tensor h = torch::cat({angle.sin(), angle.cos()}, 1);
    for (int64_t i = 0; i < 3; ++i) {
      h = h.mm(weights_[i]) + biases_[i];
      if (i < 2) h = torch::leaky_relu(h, 0.2);
    }
    return h.squeeze(1);
  }

 private:
  static constexpr int64_t kWaves = 32;
  Tensor frequencies_;
  std::vector<Tensor> weights_, biases_;
};

struct Modes {
  double near = 0;      // share of samples within three standard deviations of a mode
  int64_t reached = 0;  // modes that have a sample within that distance
};

Modes ModesOf(const Tensor& samples) {
  const Tensor axis = (torch::arange(kModesPerSide, torch::kFloat64) - 2) * kSpacing;
  const Tensor centres = torch::cartesian_prod({axis, axis});
  const Tensor hit = (samples.flatten(1).unsqueeze(1) - centres).norm(2, {2}).lt(3 * kStd);  // [N,25]
  return {hit.any(1).to(torch::kFloat64).mean().item<double>(), hit.any(0).sum().item<int64_t>()};
}

class Toy {
 public:
  Toy() {
    const StepTable teacher = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 60, 1e-3);
    torch::manual_seed(1);
    const Tensor noise = torch::randn({2048, 2, 1, 1}, torch::kFloat64);
    samples = {noise, RunTable(teacher, *network, noise, {}), {}, {}, {}};
    unseen = torch::randn({2000, 2, 1, 1}, torch::kFloat64);
  }

  Modes Train(Student& student, int64_t iterations, double lr, std::shared_ptr<Adversary> adversary) const {
    GsTrainer trainer(student, network, MakeDistance("l2"),
                      {.iterations = iterations, .lr = lr, .cosine = true, .ema_decay = 0.98},
                      std::move(adversary));
    TrainingRun run(trainer, {.folder = {}, .batch = 128});
    run.Run(PairsOf(samples), {}, nullptr);
    student.SetParameters(trainer.average());
    const torch::NoGradGuard no_grad;
    return ModesOf(RunTable(student.Table(), *network, unseen, {}));
  }

  SchedulePtr schedule = VpLinearSchedule();
  std::shared_ptr<const Denoiser> network = std::make_shared<MixtureDenoiser>(GaussianMixture(Grid()));
  Samples samples;
  Tensor unseen;
};

TEST(GasToy, TheAdversaryCoversModesThatTheDistanceBlurs) {
  const Toy toy;
  EXPECT_GT(ModesOf(toy.samples.images).near, 0.95);
  Student student({.steps = 2}, toy.schedule, MakeGrid("logsnr", *toy.schedule, 2, 1e-3));
  const Modes distance = toy.Train(student, 400, 1e-2, nullptr);
  torch::manual_seed(2);
  AdversaryOptions options{.loss = {.gamma = 5e-5}, .weight = 10, .lr = 1e-2};
  const Modes both = toy.Train(student, 2000, 1e-2,
                               std::make_shared<Adversary>(std::make_shared<PlaneDiscriminator>(), options));
  RecordProperty("near_by_distance", std::to_string(distance.near));
  RecordProperty("near_by_both", std::to_string(both.near));
  EXPECT_EQ(both.reached, kModesPerSide * kModesPerSide);
  // 0.26 against 0.46 to 0.63 with other seeds of data order and noise, which stand for other machines'
  // rounding; the bound is half the least gain.
  EXPECT_GT(both.near, distance.near + 0.1);
}

}  // namespace
}  // namespace gas
