// DyWeight's solvers: tables against the update of its samplers, written out on its own.
#include "gas/importers/dyweight.h"

#include <cmath>

#include "gas/solver/lint.h"
#include "gas/solver/sampler.h"
#include "importers/requests.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using Schedules = std::function<SchedulePtr(std::optional<double>)>;

SchedulePtr EdmTo(std::optional<double> t_eps) {
  return EdmAsVpSchedule(t_eps.value_or(1e-3), 0, std::numeric_limits<double>::infinity());
}
SchedulePtr VeTo(std::optional<double> t_eps) { return VeSchedule(t_eps.value_or(0.002)); }
SchedulePtr LatentTo(std::optional<double> t_eps) {
  return DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012), t_eps);
}

// Weights near iPNDM's, of `steps` steps with windows of three.
Tensor SomeWeights(int64_t steps) {
  torch::manual_seed(steps);
  Tensor weights = torch::zeros({steps, steps});
  const std::vector<std::vector<double>> rows = {{1.0}, {1.5, -0.5}, {23 / 12., -16 / 12., 5 / 12.}};
  for (int64_t n = 0; n < steps; ++n) {
    const std::vector<double>& row = rows[std::min<int64_t>(n, 2)];
    for (size_t i = 0; i < row.size(); ++i) weights[n][n - static_cast<int64_t>(i)] = row[i];
  }
  return weights + 0.1 * torch::rand({steps, steps}).tril();
}

Tensor WindowOfThree(int64_t steps) { return torch::ones({steps, steps}).tril().triu(-2); }

Tensor SomeScales(int64_t count) { return 0.9 + 0.15 * torch::rand({count}); }

// An object by EDM's persistence.
std::string Persistent(const std::string& class_name, const std::string& state) {
  const std::string record = testing::PickledDict({{"type", testing::PickledText("class")},
                                                   {"version", testing::PickledInteger(6)},
                                                   {"module_src", testing::PickledText("")},
                                                   {"class_name", testing::PickledText(class_name)},
                                                   {"state", state}});
  return "ctorch_utils.persistence\n_reconstruct_persistent_obj\n(" + record + "tR";
}

struct DyWeightSnapshot {
  Tensor weights, mask, scales;
  bool afs = true;
  std::string type = "polynomial";
  double rho = 7, sigma_min = 0.002, sigma_max = 80;
  std::string guidance_type = "N";
  double guidance = 0;

  static DyWeightSnapshot Of(int64_t steps, bool afs) {
    DyWeightSnapshot s{.weights = SomeWeights(steps), .mask = WindowOfThree(steps)};
    s.scales = SomeScales(steps - (afs ? 1 : 0));
    s.afs = afs;
    return s;
  }

  std::string str() const {
    const std::string parameters =
        testing::PickledDict({{"hybrid_weights", testing::PickledNumbers(weights, "0")},
                              {"t_scale", testing::PickledNumbers(scales, "1")}});
    const std::string buffers = testing::PickledDict({{"mask", testing::PickledNumbers(mask, "2")}});
    const std::string predictor = testing::PickledDict({{"_parameters", parameters},
                                                        {"_buffers", buffers},
                                                        {"_modules", "}"},
                                                        {"afs", afs ? "\x88" : "\x89"},
                                                        {"guidance_type", guidance_type},
                                                        {"guidance_rate", testing::PickledReal(guidance)}});
    const std::string loss = testing::PickledDict({{"schedule_type", testing::PickledText(type)},
                                                   {"schedule_rho", testing::PickledReal(rho)},
                                                   {"sigma_min", testing::PickledReal(sigma_min)},
                                                   {"sigma_max", testing::PickledReal(sigma_max)},
                                                   {"dataset_name", testing::PickledText("cifar10")}});
    return testing::TorchZip(testing::PickledDict({{"predictor", Persistent("DyWeight_predictor", predictor)},
                                                   {"loss_fn", Persistent("DyWeight_loss", loss)}}),
                             {{"0", testing::StoredNumbers(weights)},
                              {"1", testing::StoredNumbers(scales)},
                              {"2", testing::StoredNumbers(mask)}});
  }

  // Levels sigma of the steps where they follow from the file alone.
  std::vector<double> Levels() const {
    std::vector<double> levels;
    for (int64_t i = 0; i <= weights.size(0); ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(weights.size(0));
      const double first = std::pow(sigma_max, 1 / rho), last = std::pow(sigma_min, 1 / rho);
      levels.push_back(std::pow(first + share * (last - first), rho));
    }
    return levels;
  }
};

double Item(const Tensor& values, int64_t i) { return values[i].item<double>(); }

// The sampler as published, in double precision.
Tensor DirectDyWeight(const DyWeightSnapshot& s, const std::vector<double>& levels) {
  const GaussianMixture mixture = testing::SmallMixture();
  const Tensor weights = (s.weights * s.mask).to(torch::kFloat64);
  Tensor x = levels[0] * testing::NoiseForMixture();
  std::vector<Tensor> derivatives;
  double level = levels[0];
  int64_t evaluation = 0;
  for (int64_t n = 0; n < weights.size(0); ++n) {
    if (s.afs && n == 0) {
      derivatives.push_back(x / std::sqrt(1 + level * level));
    } else {
      const double told = std::abs(Item(s.scales, evaluation++) * level);
      derivatives.push_back((x - mixture.Denoise(x, Scalar(told), {})) / (level + 1e-8));
    }
    Tensor sum = torch::zeros_like(x);
    for (int64_t j = 0; j <= n; ++j) sum += Item(weights[n], j) * derivatives[j];
    x = x + (levels[n + 1] - level) * sum;
    level += weights[n].slice(0, 0, n + 1).sum().item<double>() * (levels[n + 1] - level);
  }
  return x;
}

SolverFile ImportDyWeight(const std::string& bytes, const ImportRequest& request) {
  const testing::TempFolder folder("dyweight");
  return testing::ImportBytes(folder.path() / "network-snapshot.pkl", bytes, request);
}

// x / alpha of the table's sample.
Tensor SampleDyWeight(const SolverFile& file, PredictionType prediction) {
  const SolverEntry& entry = file.entries.begin()->second;
  const testing::MixtureDenoiser network(testing::SmallMixture(), prediction);
  return RunTable(entry.table, network, testing::NoiseForMixture(), {}) / file.schedule->Alpha(entry.t_eps);
}

TEST(DyWeight, PixelModelsOnAnyScheduleOfEdmsNetworks) {
  for (const bool afs : {false, true}) {
    const DyWeightSnapshot snapshot = DyWeightSnapshot::Of(5, afs);
    const Tensor expected = DirectDyWeight(snapshot, snapshot.Levels());
    for (const Schedules& schedules : {Schedules(VeTo), Schedules(EdmTo)}) {
      SCOPED_TRACE(afs ? "with afs" : "without");
      const SolverFile file =
          ImportDyWeight(snapshot.str(), testing::RequestFor(schedules, PredictionType::kData));
      const SolverEntry& entry = file.entries.begin()->second;
      EXPECT_EQ(entry.table.nfe(), afs ? 4 : 5);
      EXPECT_NEAR(file.schedule->Sigma(entry.t_eps) / file.schedule->Alpha(entry.t_eps), 0.002, 1e-9);
      EXPECT_TRUE(testing::Close(SampleDyWeight(file, PredictionType::kData), expected, 1e-8, 0));
      EXPECT_EQ(entry.provenance.at("imported").at("afs"), afs);
    }
  }
}

// Latent models begin and end where their times do, 1 and 0.001, and keep the guidance of the file.
TEST(DyWeight, LatentModelsOnTheirTimes) {
  DyWeightSnapshot snapshot = DyWeightSnapshot::Of(4, false);
  snapshot.type = "discrete";
  snapshot.rho = 1;
  snapshot.guidance_type = testing::PickledText("cfg");
  snapshot.guidance = 7.5;
  const SchedulePtr latent = LatentTo({});
  std::vector<double> levels;
  for (int64_t i = 0; i <= 4; ++i) {
    const double t = 1 + static_cast<double>(i) / 4 * (0.001 - 1);
    levels.push_back(latent->Sigma(t) / latent->Alpha(t));
  }
  const ImportRequest request = testing::RequestFor(Schedules(LatentTo), PredictionType::kNoise);
  const SolverFile file = ImportDyWeight(snapshot.str(), request);
  EXPECT_TRUE(testing::Close(SampleDyWeight(file, PredictionType::kNoise), DirectDyWeight(snapshot, levels),
                             1e-8, 0));
  EXPECT_NEAR(file.at(4).t_eps, 1e-3, 1e-9);
  EXPECT_EQ(file.guidance, 7.5);
  ImportRequest other = request;
  other.guidance = 3;
  EXPECT_ERROR(ImportDyWeight(snapshot.str(), other), Errc::kBadOption, "was trained with 7.5");
}

TEST(DyWeight, OtherSchedulesOfLevels) {
  const ImportRequest request = testing::RequestFor(Schedules(VeTo), PredictionType::kData);
  DyWeightSnapshot snapshot = DyWeightSnapshot::Of(3, false);
  snapshot.type = "logsnr";
  std::vector<double> levels;
  for (int i = 0; i <= 3; ++i) levels.push_back(80 * std::pow(0.002 / 80, i / 3.));
  EXPECT_TRUE(testing::Close(SampleDyWeight(ImportDyWeight(snapshot.str(), request), PredictionType::kData),
                             DirectDyWeight(snapshot, levels), 1e-8, 0));
  // Uniform in the time of a linear schedule whose levels run from 80 at 1 to 0.002 at 0.001.
  snapshot.type = "time_uniform";
  snapshot.rho = 1;
  const double a = std::log1p(80 * 80), b = std::log1p(0.002 * 0.002),
               slope = 2 * (b / 1e-3 - a) / (1e-3 - 1);
  for (int i = 0; i <= 3; ++i) {
    const double t = 1 + i / 3. * (1e-3 - 1);
    levels[i] = std::sqrt(std::expm1(slope * t * t / 2 + (a - slope / 2) * t));
  }
  EXPECT_NEAR(levels[3], 0.002, 1e-6);
  EXPECT_TRUE(testing::Close(SampleDyWeight(ImportDyWeight(snapshot.str(), request), PredictionType::kData),
                             DirectDyWeight(snapshot, levels), 1e-8, 0));
}

TEST(DyWeight, WhatCannotBe) {
  const ImportRequest request = testing::RequestFor(Schedules(EdmTo), PredictionType::kData);
  const auto with = [&](const std::function<void(DyWeightSnapshot&)>& change) {
    DyWeightSnapshot snapshot = DyWeightSnapshot::Of(4, true);
    change(snapshot);
    return ImportDyWeight(snapshot.str(), request);
  };
  EXPECT_NO_THROW(with([](DyWeightSnapshot&) {}));
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.scales = torch::ones({4}); }), Errc::kBadFile,
               "t_scale has 4 numbers, must be 3");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) {
                 s.mask = torch::ones({3, 4});
               }),
               Errc::kBadFile, "mask has shape");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) {
                 s.weights = s.mask = torch::ones({4, 3});
               }),
               Errc::kBadFile, "must be [S,S]");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.weights[1][0] = std::nan(""); }), Errc::kBadFile,
               "hybrid_weights has entries");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.scales[0] = 0; }), Errc::kBadFile,
               "evaluation 0 tells the network the level 0");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.type = "cosine"; }), Errc::kBadFile,
               "schedule_type cosine, must be");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.sigma_min = 90; }), Errc::kBadFile, "levels from 80 to 90");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) { s.guidance_type = testing::PickledText("cg"); }),
               Errc::kBadFile, "guidance of type \"cg\" cannot be held");
  EXPECT_ERROR(with([](DyWeightSnapshot& s) {
                 s.weights = s.mask = torch::ones({1, 1});
                 s.scales = torch::ones({1});
               }),
               Errc::kBadFile, "no step evaluates the network");
  ImportRequest other = request;
  other.nfe = 4;
  EXPECT_ERROR(ImportDyWeight(DyWeightSnapshot::Of(4, true).str(), other), Errc::kBadOption,
               "makes 3 evaluations");
}

// ---- rectified flow

// Any function of state and time, as a network that predicts the flow.
class SomeFlow : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kFlow; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
    return Value(x, at.t.item<double>());
  }
  static Tensor Value(const Tensor& x, double t) { return torch::tanh(2 * x) * (1 + t) - 0.3 * x; }
};

std::string FlowSnapshot(const Tensor& weights, const Tensor& scales) {
  return testing::TorchZip(
      testing::PickledDict({{"window_size", testing::PickledInteger(2)},
                            {"dyweight_weights_raw", testing::PickledNumbers(weights, "0")},
                            {"dyweight_t_scales", testing::PickledNumbers(scales, "1")}}),
      {{"0", testing::StoredNumbers(weights)}, {"1", testing::StoredNumbers(scales)}});
}

TEST(DyWeightFlow, IsTheUpdateOnFluxLevels) {
  const Tensor weights = SomeWeights(3);
  const Tensor scales = torch::tensor({1.0172f, 0.9771f, 0.9864f});  // the first beyond time 1, as published
  const double shift = std::exp(1.15);
  const std::vector<double> levels = {1, shift / (shift + 0.5), shift / (shift + 2), 0};
  Tensor x = testing::NoiseForMixture();
  std::vector<Tensor> flows;
  double level = 1;
  for (int64_t n = 0; n < 3; ++n) {
    flows.push_back(SomeFlow::Value(x, Item(scales, n) * level));
    Tensor sum = torch::zeros_like(x);
    double total = 0;
    for (int64_t j = 0; j <= n; ++j) {
      sum += Item(weights[n], j) * flows[j];
      total += Item(weights[n], j);
    }
    x = x + (levels[n + 1] - level) * sum;
    level += total * (levels[n + 1] - level);
  }
  const ImportRequest request = testing::RequestFor(
      [](std::optional<double> t_eps) { return FlowSchedule(t_eps.value_or(1e-3)); }, PredictionType::kFlow);
  const SolverFile file = ImportDyWeight(FlowSnapshot(weights, scales), request);
  const StepTable& table = file.at(3).table;
  EXPECT_TRUE(testing::Close(RunTable(table, SomeFlow(), testing::NoiseForMixture(), {}), x, 1e-10, 0));
  // It survives a file, and lint looks at it.
  const SolverFile again = ParseSolverFile("again", FormatSolverFile(file));
  EXPECT_TRUE(testing::SameBits(again.at(3).table.b, table.b));
  EXPECT_EQ(LintTable(table, *file.schedule).rows.size(), 3u);
  EXPECT_ERROR(ImportDyWeight(FlowSnapshot(weights, scales.slice(0, 0, 2)), request), Errc::kBadFile,
               "2 scales of 3 steps");
  EXPECT_ERROR(ImportDyWeight(FlowSnapshot(weights, scales),
                              testing::RequestFor(Schedules(VeTo), PredictionType::kData)),
               Errc::kBadOption, "is for rectified flow, not for schedule \"ve\"");
}

}  // namespace
}  // namespace gas
