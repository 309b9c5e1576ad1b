// Times of LD3: tables against the updates of its samplers, written out on their own.
#include "gas/importers/ld3.h"

#include <cmath>

#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "importers/requests.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

const std::vector<double> kTimes = {1, 0.7, 0.35, 0.12, 0.001}, kTold = {1, 0.66, 0.4, 0.1, 0.001};
const std::vector<double> kLevels = {80, 20, 3, 0.4, 0.002}, kLevelsTold = {80, 15, 3.3, 0.6, 0.002};

std::string Ld3Snapshot(const std::vector<double>& nodes, const std::vector<double>& told) {
  std::vector<double> both = nodes;
  both.insert(both.end(), told.begin(), told.end());
  const Tensor values = torch::tensor(both, torch::kFloat32), none = torch::zeros({5});
  return testing::TorchZip(testing::PickledDict({{"params1", testing::PickledNumbers(none, "1")},
                                                 {"params2", testing::PickledNumbers(none, "1")},
                                                 {"best_t_steps", testing::PickledNumbers(values, "0")}}),
                           {{"0", testing::StoredNumbers(values)}, {"1", testing::StoredNumbers(none)}});
}

// What the network says at (alpha, sigma) of the time that it is told.
struct Said {
  Tensor noise, data;
};

// The samplers of LD3 on a schedule of its own: alpha and sigma of a time.
class Ld3Sampler {
 public:
  using Level = std::function<double(double)>;
  Ld3Sampler(Level alpha, Level sigma, std::vector<double> nodes, std::vector<double> told)
      : alpha_(std::move(alpha)),
        sigma_(std::move(sigma)),
        nodes_(std::move(nodes)),
        told_(std::move(told)) {}

  // DPM-Solver++(2M), which lowers its last order.
  Tensor Dpm2(Tensor x) const {
    std::vector<Tensor> data;
    for (size_t n = 0; n + 1 < nodes_.size(); ++n) {
      data.push_back(At(x, told_[n]).data);
      const double h = Lambda(n + 1) - Lambda(n), phi = std::expm1(-h);
      Tensor update = data[n];
      if (n > 0 && n + 2 < nodes_.size()) {
        const double r = (Lambda(n) - Lambda(n - 1)) / h;
        update = update + 0.5 / r * (data[n] - data[n - 1]);
      }
      x = Sigma(n + 1) / Sigma(n) * x - Alpha(n + 1) * phi * update;
    }
    return x;
  }

  // iPNDM of second order.
  Tensor Ipndm2(Tensor x) const {
    std::vector<Tensor> noise;
    for (size_t n = 0; n + 1 < nodes_.size(); ++n) {
      noise.push_back(At(x, told_[n]).noise);
      const double phi = std::expm1(Lambda(n + 1) - Lambda(n));
      const Tensor mean = n == 0 ? noise[0] : (3 * noise[n] - noise[n - 1]) / 2;
      x = Alpha(n + 1) / Alpha(n) * x - Sigma(n + 1) * phi * mean;
    }
    return x;
  }

 private:
  double Alpha(size_t n) const { return alpha_(nodes_[n]); }
  double Sigma(size_t n) const { return sigma_(nodes_[n]); }
  double Lambda(size_t n) const { return std::log(Alpha(n) / Sigma(n)); }
  Said At(const Tensor& x, double told) const {
    const double alpha = alpha_(told), sigma = sigma_(told);
    const Tensor data = mixture_.Denoise(x / alpha, Scalar(sigma / alpha), {});
    return {(x - alpha * data) / sigma, data};
  }

  GaussianMixture mixture_ = testing::SmallMixture();
  Level alpha_, sigma_;
  std::vector<double> nodes_, told_;
};

Tensor SampleLd3(const SolverFile& file, PredictionType prediction) {
  return RunTable(file.entries.begin()->second.table,
                  testing::MixtureDenoiser(testing::SmallMixture(), prediction), testing::NoiseForMixture(),
                  {});
}

ImportRequest OnVp(const std::string& base) {
  ImportRequest request = testing::RequestFor(
      [](std::optional<double> t_eps) { return VpLinearSchedule(0.1, 20, t_eps.value_or(1e-3)); },
      PredictionType::kNoise);
  request.base = base;
  return request;
}

SolverFile ImportLd3(const std::string& bytes, const ImportRequest& request) {
  const testing::TempFolder folder("ld3");
  return testing::ImportBytes(folder.path() / "best_v2.pt", bytes, request);
}

TEST(Ld3, TimesOfAVariancePreservingSchedule) {
  const SchedulePtr vp = VpLinearSchedule();
  const Ld3Sampler direct([&](double t) { return vp->Alpha(t); }, [&](double t) { return vp->Sigma(t); },
                          kTimes, kTold);
  const std::string snapshot = Ld3Snapshot(kTimes, kTold);
  const SolverFile dpm = ImportLd3(snapshot, OnVp("dpmpp-2m")), ipndm = ImportLd3(snapshot, OnVp("ipndm-2"));
  EXPECT_TRUE(testing::Close(SampleLd3(dpm, PredictionType::kNoise), direct.Dpm2(testing::NoiseForMixture()),
                             1e-10, 0));
  EXPECT_TRUE(testing::Close(SampleLd3(ipndm, PredictionType::kNoise),
                             direct.Ipndm2(testing::NoiseForMixture()), 1e-10, 0));
  const SolverEntry& entry = dpm.at(4);
  EXPECT_EQ(entry.t_eps, 0.001);  // as it was before it was stored in single precision
  EXPECT_TRUE(testing::Close(entry.table.t, torch::tensor(kTimes, torch::kFloat64), 0, 1e-12));
  EXPECT_TRUE(
      testing::Close(entry.table.t_eval, torch::tensor(kTold, torch::kFloat64).slice(0, 0, 4), 0, 1e-12));
  EXPECT_EQ(entry.provenance.at("imported").at("base"), "dpmpp-2m");
  EXPECT_EQ(entry.provenance.at("imported").at("source"), "ld3-times");
}

// Where the network is told the nodes themselves nothing but the base solver on a list of times is left.
TEST(Ld3, UntrainedOffsetsAreTheBaseSolver) {
  const SchedulePtr vp = VpLinearSchedule();
  for (const std::string base : {"unipc-3-bh1", "unipc-2-bh2", "dpmpp-3m", "ipndm-4"}) {
    SCOPED_TRACE(base);
    const StepTable table = ImportLd3(Ld3Snapshot(kTimes, kTimes), OnVp(base)).at(4).table;
    const StepTable expected = MakeSolverTable(base, *vp, "1,0.7,0.35,0.12,0.001", 4, 1e-3);
    EXPECT_TRUE(testing::Close(table.a, expected.a, 0, 1e-10));
    EXPECT_TRUE(testing::Close(table.b, expected.b, 0, 1e-10));
  }
}

// EDM's networks, in sigma: the same sample on the schedule of sigma and on EDM seen as variance preserving.
TEST(Ld3, NoiseLevelsOfEdmOnAnySchedule) {
  const Ld3Sampler direct([](double) { return 1; }, [](double sigma) { return sigma; }, kLevels, kLevelsTold);
  const std::string snapshot = Ld3Snapshot(kLevels, kLevelsTold);
  const auto ve = [](std::optional<double> t_eps) { return VeSchedule(t_eps.value_or(0.002), 80); };
  const auto edm = [](std::optional<double> t_eps) {
    return EdmAsVpSchedule(t_eps.value_or(1e-3), 0, std::numeric_limits<double>::infinity());
  };
  for (const auto& schedule : std::vector<std::function<SchedulePtr(std::optional<double>)>>{ve, edm}) {
    ImportRequest request = testing::RequestFor(schedule, PredictionType::kData);
    // x / alpha of the sample, as LD3 has it.
    const auto sample = [&](const std::string& base) {
      request.base = base;
      const SolverFile file = ImportLd3(snapshot, request);
      return SampleLd3(file, PredictionType::kData) / file.schedule->Alpha(file.at(4).t_eps);
    };
    EXPECT_TRUE(testing::Close(sample("dpmpp-2m"), direct.Dpm2(80 * testing::NoiseForMixture()), 1e-9, 0));
    EXPECT_TRUE(testing::Close(sample("ipndm-2"), direct.Ipndm2(80 * testing::NoiseForMixture()), 1e-9, 0));
  }
}

TEST(Ld3, WhatIsMissingOrCannotBe) {
  const std::string good = Ld3Snapshot(kTimes, kTold);
  EXPECT_ERROR(ImportLd3(good, OnVp("")), Errc::kBadOption, "import.solver is missing");
  EXPECT_ERROR(ImportLd3(good, OnVp("dpm-2s")), Errc::kBadOption,
               "import.solver = dpm-2s: times of LD3 are read for");
  ImportRequest request = OnVp("dpmpp-2m");
  request.nfe = 5;
  EXPECT_ERROR(ImportLd3(good, request), Errc::kBadOption, "import.nfe = 5: ");
  const auto bad = [&](const std::vector<double>& nodes, const std::vector<double>& told) {
    return ImportLd3(Ld3Snapshot(nodes, told), OnVp("dpmpp-2m"));
  };
  EXPECT_ERROR(bad({1, 0.5, 0.6, 0.1}, {1, 0.5, 0.6, 0.1}), Errc::kBadFile, "must be below time 1");
  EXPECT_ERROR(bad({1, 0.5, 0}, {1, 0.5, 0}), Errc::kBadFile, "above 0");
  EXPECT_ERROR(bad({1, 0.5, 0.1}, {1, -0.5, 0.1}), Errc::kBadFile, "tells the network time -0.5");
  EXPECT_ERROR(bad({1, std::nan(""), 0.1}, {1, 0.5, 0.1}), Errc::kBadFile, "not finite");
  EXPECT_ERROR(bad({1, 0.5, 0.1}, {1, 0.1}), Errc::kBadFile, "must be [2 (N + 1)]");
  EXPECT_ERROR(bad({1}, {1}), Errc::kBadFile, "must be [2 (N + 1)]");
}

}  // namespace
}  // namespace gas
