// hosts/c/gas_table.c against the sampler: same solver file, network and noise, same sample.
#include <cstdlib>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "gas/io/file.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/solver/solver_file.h"
#include "gas_table.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kChannels = 3, kHeight = 5, kWidth = 8, kBatch = 2, kNfe = 4;
constexpr int64_t kSize = kChannels * kHeight * kWidth;

enum class Kind { kScalar, kStart, kSpectral, kBoth };

// Every entry in use, decoupled times included.
StepTable NoisyTable(const NoiseSchedule& schedule, Kind kind) {
  torch::manual_seed(3);
  StepTable table = MakeSolverTable("dpmpp-3m", schedule, "", kNfe, 1e-2);
  table.t_eval = table.t_eval * 0.98;
  table.alpha_eval = schedule.Alpha(table.t_eval);
  table.sigma_eval = schedule.Sigma(table.t_eval);
  const auto noisy = [](const Tensor& base) {
    const auto shape = base.sizes().vec();
    return base + 0.05 * torch::rand(shape, torch::kFloat64);
  };
  if (kind != Kind::kScalar) {
    const Tensor rotation =
        std::get<0>(torch::linalg_qr(torch::randn({kChannels, kChannels}, torch::kFloat64)));
    // 1/5 and 4/8 are radii: each belongs to the band that begins there.
    const Tensor edges = torch::tensor({0.0, 0.2, 0.5, std::sqrt(2.0)}, torch::kFloat64);
    table.basis =
        std::make_shared<SpectralBasis>(SpectralBasis{{kChannels, kHeight, kWidth}, rotation, edges});
  }
  const auto spread = [&](const Tensor& base) {
    if (kind != Kind::kSpectral && kind != Kind::kBoth) return noisy(base).tril();
    const int64_t bands = table.basis->bands();
    const Tensor wide = noisy(base.reshape({kNfe, kNfe, 1, 1}).expand({kNfe, kNfe, kChannels, bands}));
    return wide.permute({2, 3, 0, 1}).tril().permute({2, 3, 0, 1}).contiguous();
  };
  table.a = spread(table.a);
  table.b = spread(table.b);
  if (kind == Kind::kStart || kind == Kind::kBoth) {
    const std::vector<int64_t> shape = {kChannels, kHeight, kWidth};
    table.start = std::make_shared<SpectralStart>(SpectralStart{
        0.7 + 0.3 * torch::rand(shape, torch::kFloat64), 0.1 * torch::randn(shape, torch::kFloat64)});
  }
  table.prior_std = 1.25;
  return table;
}

SolverFile FileOf(const SchedulePtr& schedule, PredictionType prediction, const StepTable& table) {
  SolverFile file;
  file.schedule = schedule;
  file.prediction = prediction;
  file.guidance = 2.5;
  file.entries[table.nfe()] = {.table = table};
  return file;
}

std::unique_ptr<gas_solver, void (*)(gas_solver*)> Parse(const std::string& text, gas_error* error) {
  return {gas_solver_parse(text.data(), text.size(), error), gas_solver_free};
}

// The callback of C, for a network of ours.
struct Network {
  const Denoiser& denoiser;
  std::vector<int64_t> shape;
  int calls = 0;
};

int Evaluate(void* user, int n, const float* x, double t, double alpha, double sigma, float* output) {
  auto& network = *static_cast<Network*>(user);
  EXPECT_EQ(n, network.calls++);
  const Tensor states = torch::from_blob(const_cast<float*>(x), network.shape).clone();
  const NoiseLevel at{Scalar(t), Scalar(alpha), Scalar(sigma)};
  const Tensor result = network.denoiser.Predict(states, at, {}).to(torch::kFloat32).contiguous();
  std::copy_n(result.data_ptr<float>(), result.numel(), output);
  return 0;
}

Tensor NoiseOf(const std::vector<int64_t>& shape) {
  torch::manual_seed(5);
  return torch::randn(shape);
}

TEST(CTable, SampleIsTheSamplers) {
  for (const PredictionType type : kPredictionTypeNames.values()) {
    const SchedulePtr schedule = type == PredictionType::kFlow
                                     ? FlowSchedule()
                                     : DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012));
    const testing::GaussianDenoiser denoiser(0.3, 0.5, type);
    for (const Kind kind : {Kind::kScalar, Kind::kStart, Kind::kSpectral, Kind::kBoth}) {
      const StepTable table = NoisyTable(*schedule, kind);
      gas_error error;
      const auto solver = Parse(FormatSolverFile(FileOf(schedule, type, table)), &error);
      ASSERT_NE(solver, nullptr) << error.text;
      const Tensor noise = NoiseOf({kBatch, kChannels, kHeight, kWidth});
      Tensor sample = torch::empty_like(noise);
      Network network{denoiser, noise.sizes().vec()};
      ASSERT_EQ(gas_sample(solver.get(), gas_solver_table(solver.get(), kNfe, &error), kBatch, kSize,
                           noise.data_ptr<float>(), sample.data_ptr<float>(), Evaluate, &network, &error),
                0)
          << error.text;
      EXPECT_EQ(network.calls, kNfe);
      // Float32 states on both sides, summed in another order.
      EXPECT_TRUE(testing::Close(sample, RunTable(table, denoiser, noise, {}), 1e-5, 0))
          << kPredictionTypeNames.NameOf(type) << ", kind " << static_cast<int>(kind);
    }
  }
}

TEST(CTable, WhatTheFileSaysIsThere) {
  const Tensor alphas = ScaledLinearAlphasCumprod(0.00085, 0.012);
  const StepTable table = MakeSolverTable("ddim", *DiscreteSchedule(alphas), "", 2, 1e-3);
  gas_error error;
  const auto solver =
      Parse(FormatSolverFile(FileOf(DiscreteSchedule(alphas), PredictionType::kVelocity, table)), &error);
  ASSERT_NE(solver, nullptr) << error.text;
  EXPECT_EQ(gas_solver_prediction(solver.get()), GAS_VELOCITY);
  EXPECT_EQ(gas_solver_guidance(solver.get()), 2.5);
  EXPECT_EQ(gas_solver_timesteps(solver.get()), 1000);
  EXPECT_EQ(gas_solver_alphas_cumprod(solver.get())[999], alphas[999].item<double>());
  ASSERT_EQ(gas_solver_count(solver.get()), 1);
  const gas_table* read = gas_solver_table(solver.get(), 0, &error);
  EXPECT_EQ(read, gas_solver_at(solver.get(), 0));
  EXPECT_EQ(read->b[3], table.b[1][1].item<double>());
  EXPECT_EQ(read->t[2], table.t[2].item<double>());
  EXPECT_EQ(gas_solver_table(solver.get(), 7, &error), nullptr);
  EXPECT_THAT(error.text, HasSubstr("no table for nfe = 7"));
}

TEST(CTable, RunsThatCannotBeAreErrors) {
  const SchedulePtr schedule = FlowSchedule();
  gas_error error;
  const auto solver = Parse(
      FormatSolverFile(FileOf(schedule, PredictionType::kFlow, NoisyTable(*schedule, Kind::kBoth))), &error);
  ASSERT_NE(solver, nullptr) << error.text;
  const gas_table* table = gas_solver_at(solver.get(), 0);
  std::vector<float> noise(kSize + 1);
  const auto stop = [](void*, int n, const float*, double, double, double, float* output) {
    std::fill_n(output, kSize, 0.0F);
    return n == 1 ? 1 : 0;
  };
  EXPECT_EQ(gas_sample(solver.get(), table, 1, kSize + 1, noise.data(), noise.data(), stop, nullptr, &error),
            1);
  EXPECT_THAT(error.text, HasSubstr("for states [3,5,8], not of 121 floats"));
  EXPECT_EQ(gas_sample(solver.get(), table, 0, kSize, noise.data(), noise.data(), stop, nullptr, &error), 1);
  EXPECT_EQ(gas_sample(solver.get(), table, 1, kSize, noise.data(), noise.data(), stop, nullptr, &error), 1);
  EXPECT_THAT(error.text, HasSubstr("the network stopped the run at evaluation 1"));
}

// ---- Hostile files ----

nlohmann::json Good(Kind kind = Kind::kBoth) {
  const SchedulePtr schedule = FlowSchedule();
  return nlohmann::json::parse(
      FormatSolverFile(FileOf(schedule, PredictionType::kFlow, NoisyTable(*schedule, kind))));
}

void ExpectRefused(const std::string& text, const std::string& message) {
  gas_error error{};
  EXPECT_EQ(Parse(text, &error), nullptr) << text.substr(0, 200);
  EXPECT_THAT(error.text, HasSubstr(message)) << text.substr(0, 200);
}

TEST(CTableHostile, TextThatIsNotJsonIsRefused) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\"}", "{\"a\":}", "\"\\x\"", "\"\\u12g4\"", "\"a", "01",
                           "1.", "1e", "-", "tru", "{} {}", "[1 2]", "\"\n\"", "{1:2}", "nul"})
    ExpectRefused(text, "not JSON");
  ExpectRefused(std::string("{\0}", 3), "not JSON");
  ExpectRefused(std::string("\"\\\0\"", 4), "not JSON");
  ExpectRefused(std::string(100000, '['), "nested more than 64 deep");
  ExpectRefused("{}", "no entry gas_solver");
  ExpectRefused("[]", "no entry gas_solver");
}

TEST(CTableHostile, ValuesThatCannotBeAreRefused) {
  using Change = std::function<void(nlohmann::json&)>;
  const auto table = [](nlohmann::json& j) -> nlohmann::json& { return j["tables"][0]; };
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& j) { j["gas_solver"] = 3; }, "format gas_solver = 3, must be whole and in [1, 2]"},
      {[](auto& j) { j["gas_solver"] = 1.5; }, "must be whole"},
      {[](auto& j) { j["prediction"] = "score"; }, "prediction must be one of"},
      {[](auto& j) { j.erase("guidance"); }, "guidance is missing"},
      {[](auto& j) { j["schedule"] = 1; }, "kind is missing"},
      {[](auto& j) {
         j["schedule"] = {{"kind", "discrete"}, {"alphas_cumprod", {0.5, 0.6}}};
       },
       "alphas_cumprod[1] = 0.6"},
      {[](auto& j) { j["tables"] = nlohmann::json::array(); }, "tables is not a list"},
      {[](auto& j) { j["tables"].push_back(j["tables"][0]); }, "two tables for nfe = 4"},
      {[](auto& j) { j["tables"][0] = 1; }, "a table is not an object"},
      {[&](auto& j) { table(j)["nfe"] = 5; }, "is not numbers of the table's shape"},
      {[&](auto& j) { table(j)["nfe"] = 1e9; }, "nfe = 1e+09, must be whole and in [1, 10000]"},
      {[&](auto& j) { table(j)["prior_std"] = 0; }, "prior_std = 0, must be positive"},
      {[&](auto& j) { table(j)["t"][1] = table(j)["t"][0]; }, "t must descend"},
      {[&](auto& j) { table(j)["sigma"][1] = nullptr; }, "sigma is not numbers of the table's shape"},
      {[&](auto& j) {
         table(j)["A"] = {1, 2};
       },
       "A is not numbers of the table's shape"},
      {[&](auto& j) { table(j)["A"] = {nlohmann::json::array()}; }, "A is not numbers of the table's shape"},
      {[&](auto& j) { table(j)["B"][0][2][1][1] = 0.5; }, "B: row 0 uses a later state"},
      {[&](auto& j) { table(j).erase("basis"); }, "a start without a basis"},
      {[&](auto& j) {
         table(j)["basis"]["shape"] = {1, 2};
       },
       "shape is not [C,H,W]"},
      {[&](auto& j) {
         table(j)["basis"]["shape"] = {1, 2, 8193};
       },
       "must be whole and in [1, 8192]"},
      {[&](auto& j) {
         table(j)["basis"]["shape"] = {8192, 8192, 8192};
       },
       "more than 67108864 entries"},
      {[&](auto& j) { table(j)["basis"]["rotation"][0][0] = 9; }, "misses orthogonality"},
      {[&](auto& j) { table(j)["basis"]["edges"] = {0}; }, "at least two numbers"},
      {[&](auto& j) { table(j)["basis"]["edges"][1] = 7; }, "must ascend from 0"},
      {[&](auto& j) { table(j)["start"]["gain"] = 1; }, "gain is not numbers of the table's shape"}};
  for (const auto& [change, message] : cases) {
    nlohmann::json json = Good();
    change(json);
    ExpectRefused(json.dump(), message);
  }
}

TEST(CTableHostile, KeysThatStandTwiceAndNumbersBeyondADoubleAreRefused) {
  std::string text = Good().dump();
  ExpectRefused("{\"guidance\":1," + text.substr(1), "the key \"guidance\" stands twice");
  const size_t at = text.find("\"prior_std\":") + 12;
  ExpectRefused(text.substr(0, at) + "1e999" + text.substr(text.find(',', at)), "beyond what a double holds");
  ExpectRefused(text.substr(0, at) + std::string(200, '1') + text.substr(text.find(',', at)),
                "has a number of 200 characters");
}

// Wherever a good file ends early it is refused, and nothing is read beyond the end (the sanitizers look).
TEST(CTableHostile, FilesThatEndEarlyAreRefused) {
  const std::string text = Good(Kind::kScalar).dump();
  gas_error error;
  for (size_t length = 0; length < text.size(); ++length) {
    const std::vector<char> part(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(gas_solver_parse(part.data(), part.size(), &error), nullptr) << length;
  }
}

// Each byte changed in turn: refused or read, and what is read runs.
TEST(CTableHostile, ChangedBytesDoNoHarm) {
  const std::string text = Good(Kind::kScalar).dump();
  const auto network = [](void*, int, const float* x, double, double, double, float* output) {
    std::copy_n(x, 2, output);
    return 0;
  };
  gas_error error;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'0', '9', '[', '"', '-'}) {
      std::string changed = text;
      changed[i] = c;
      const auto solver = Parse(changed, &error);
      if (!solver) continue;
      const gas_table* table = gas_solver_at(solver.get(), 0);
      float states[2] = {0.5F, -0.5F};
      (void)gas_sample(solver.get(), table, 1, table->rotation ? 1 : 2, states, states, network, nullptr,
                       &error);
    }
  }
}

TEST(CTableHostile, FilesThatAreNotThereAreNamed) {
  gas_error error;
  EXPECT_EQ(gas_solver_read("/no/such.gas.json", &error), nullptr);
  EXPECT_THAT(error.text, HasSubstr("/no/such.gas.json: cannot be opened"));
}

// ---- The example ----

TEST(CTable, ExampleGivesTheSamplersSample) {
  const testing::TempFolder folder("c_example");
  const SchedulePtr schedule = FlowSchedule();
  const StepTable table = NoisyTable(*schedule, Kind::kBoth);
  WriteSolverFile(folder.path() / "s.gas.json", FileOf(schedule, PredictionType::kFlow, table));
  const Tensor noise = NoiseOf({kBatch, kChannels, kHeight, kWidth});
  const auto* bytes = static_cast<const char*>(noise.data_ptr());
  WriteFile(folder.path() / "noise", {bytes, noise.nbytes()});
  const std::string command = fmt::format("cd {} && {} s.gas.json {} {} noise out", folder.path().string(),
                                          GAS_TABLE_EXAMPLE, kNfe, kSize);
  ASSERT_EQ(std::system(command.c_str()), 0);
  Bytes out = ReadFile(folder.path() / "out");
  ASSERT_EQ(out.size(), noise.nbytes());
  const testing::GaussianDenoiser denoiser(0, 0.5, PredictionType::kFlow);
  EXPECT_TRUE(testing::Close(torch::from_blob(out.data(), noise.sizes()),
                             RunTable(table, denoiser, noise, {}), 1e-5, 0));
}

}  // namespace
}  // namespace gas
