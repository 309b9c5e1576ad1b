#include "gas/solver/solver_file.h"

#include <unistd.h>

#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/solver/dpm_multistep.h"
#include "support/expect.h"
#include "support/json_changes.h"

namespace gas {
namespace {

// Two scalar tables; the first remembers a student, whatever that is.
SolverFile Example() {
  SolverFile file{.schedule = VpLinearSchedule(), .model = "tiny", .model_sha256 = "ab", .entries = {}};
  for (const int64_t n : {3, 5}) {
    SolverEntry entry;
    entry.table = DpmMultistepTable({}, *file.schedule, MakeGrid("logsnr", *file.schedule, n, 1e-3));
    entry.provenance = {{"iterations", 7}};
    file.entries[n] = entry;
  }
  torch::manual_seed(3);
  file.entries[3].student = StudentRecord{.config = {{"steps", 3}, {"kind", "any"}},
                                          .parameters = {{"theta", torch::randn({2}, torch::kFloat64)},
                                                         {"c", torch::randn({2, 3}, torch::kFloat64)}}};
  return file;
}

TEST(SolverFile, ReadingGivesTheSameBits) {
  const SolverFile file = Example();
  const SolverFile again = ParseSolverFile("x.gas.json", FormatSolverFile(file));
  EXPECT_EQ(FormatSolverFile(again), FormatSolverFile(file));
  ASSERT_EQ(again.entries.size(), 2u);
  for (const auto& [n, entry] : file.entries) {
    EXPECT_TRUE(testing::SameBits(again.at(n).table.b, entry.table.b));
    EXPECT_TRUE(testing::SameBits(again.at(n).table.t_eval, entry.table.t_eval));
  }
  EXPECT_FALSE(again.at(5).student);
  ASSERT_TRUE(again.at(3).student);
  const StudentRecord &expected = *file.at(3).student, &actual = *again.at(3).student;
  EXPECT_EQ(actual.config, expected.config);
  ASSERT_EQ(actual.parameters.size(), expected.parameters.size());
  for (const auto& [name, value] : expected.parameters) {
    EXPECT_TRUE(testing::SameBits(actual.parameters.at(name), value)) << name;
  }
  EXPECT_ERROR(again.at(4), Errc::kBadOption, "no table for nfe = 4, it has 3, 5");
}

// A file with a spectral table of two rows for states [2,4,3].
SolverFile SpectralExample() {
  torch::manual_seed(9);
  SolverFile file{.schedule = VpLinearSchedule(), .entries = {}};
  StepTable table = DpmMultistepTable({}, *file.schedule, MakeGrid("logsnr", *file.schedule, 2, 1e-3));
  const SpectralBasisPtr basis = MakeSpectralBasis({2, 4, 3}, 3);
  for (Tensor* m : {&table.a, &table.b}) {
    *m = m->view({2, 2, 1, 1}) * torch::rand({2, 2, basis->components(), basis->bands()}, torch::kFloat64);
  }
  table.basis = basis;
  table.start = std::make_shared<SpectralStart>(
      SpectralStart{torch::rand(basis->shape, torch::kFloat64), torch::rand(basis->shape, torch::kFloat64)});
  file.entries[2] = {.table = table};
  return file;
}

TEST(SolverFile, SpectralTablesKeepTheirBits) {
  const SolverFile file = SpectralExample(), again = ParseSolverFile("x.gas.json", FormatSolverFile(file));
  EXPECT_EQ(FormatSolverFile(again), FormatSolverFile(file));
  const StepTable &expected = file.at(2).table, &actual = again.at(2).table;
  for (const auto& [a, b] : {std::pair(actual.a, expected.a), std::pair(actual.b, expected.b),
                             std::pair(actual.start->gain, expected.start->gain),
                             std::pair(actual.start->offset, expected.start->offset),
                             std::pair(actual.basis->edges, expected.basis->edges),
                             std::pair(actual.basis->rotation, expected.basis->rotation)}) {
    EXPECT_TRUE(testing::SameBits(a, b));
  }
  // Programs that know scalar tables alone read scalar files and refuse others.
  EXPECT_THAT(FormatSolverFile(file), ::testing::HasSubstr("\"gas_solver\": 2"));
  EXPECT_THAT(FormatSolverFile(Example()), ::testing::HasSubstr("\"gas_solver\": 1"));
}

TEST(SolverFile, RefusesImpossibleSpectralTables) {
  const auto json = nlohmann::json::parse(FormatSolverFile(SpectralExample()));
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change, const std::string& message) {
    nlohmann::json copy = json;
    change(copy["tables"][0]);
    EXPECT_ERROR(ParseSolverFile("x.gas.json", copy.dump()), Errc::kBadFile, message);
  };
  refused([](auto& t) { t.erase("basis"); }, "x.gas.json");
  refused([](auto& t) { t["basis"]["edges"][1] = 2.0; }, "edges must ascend");
  refused([](auto& t) { t["basis"]["shape"][1] = 1000000; }, "size 1000000, must be in [1, 8192]");
  refused([](auto& t) { t["basis"]["rotation"][0][0] = 2.0; }, "misses orthogonality");
  refused([](auto& t) { t["start"]["gain"][0].erase(0); }, "rows of 3 and 4 numbers");
  refused([](auto& t) { t["start"]["gain"].erase(0); }, "start gain");
  refused([](auto& t) { t["A"][0][0][0].erase(0); }, "must be equal");
  refused([](auto& t) { t["A"][0][0][0][0] = {1.0, 2.0}; }, "nested more than 4 deep, or unevenly");
  refused([](auto& t) { t["A"][0][1][0][0] = 1.0; }, "above the diagonal");
}

TEST(SolverFile, RefusesWhatItCannotTrust) {
  const auto json = nlohmann::json::parse(FormatSolverFile(Example()));
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change, const std::string& message) {
    nlohmann::json copy = json;
    change(copy);
    EXPECT_ERROR(ParseSolverFile("x.gas.json", copy.dump()), Errc::kBadFile, message);
  };
  refused([](auto& j) { j.erase("gas_solver"); }, "no entry gas_solver");
  refused([](auto& j) { j["gas_solver"] = 99; }, "format 99, this program reads 1 to 2");
  refused([](auto& j) { j["gas_solver"] = 4294967297; }, "format 4294967297, this program reads 1 to 2");
  refused([](auto& j) { j["gas_solver"] = 1.9; }, "format 1.9, this program reads 1 to 2");
  refused([](auto& j) { j["gas_solver"] = true; }, "format true, this program reads 1 to 2");
  refused([](auto& j) { j["guidance"] = true; }, "guidance = true, must be a number");
  refused([](auto& j) { j["tables"][0]["nfe"] = 3.7; }, "nfe = 3.7, must be a whole number");
  refused([](auto& j) { std::reverse(j["tables"][0]["t"].begin(), j["tables"][0]["t"].end()); },
          "must descend");
  refused([](auto& j) { j["tables"][0]["A"][0][1] = 0.5; }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["A"][0] = {1.0}; }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["B"][0][0] = "one"; }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["t"].erase(0); }, "x.gas.json");
  refused([](auto& j) { j["tables"] = nlohmann::json::array(); }, "no tables");
  refused([](auto& j) { j["tables"][1] = j["tables"][0]; }, "two tables for nfe = 3");
  refused([](auto& j) { j["tables"][0]["nfe"] = 4; }, "but the table has 3 rows");
  refused([](auto& j) { j["schedule"]["kind"] = "spiral"; }, "x.gas.json");
  refused([](auto& j) { j["prediction"] = "guess"; }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["student"].erase("parameters"); }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["student"] = "a student"; }, "x.gas.json");
  refused([](auto& j) { j["tables"][0]["student"]["parameters"]["c"][0].erase(0); }, "must be equal");
  EXPECT_ERROR(ParseSolverFile("x", R"({"gas_solver": 1, "gas_solver": 2})"), Errc::kBadFile,
               R"(the key "gas_solver" appears twice)");
  EXPECT_ERROR(ParseSolverFile("x", "[1, 2]"), Errc::kBadFile, "not a JSON object");
  EXPECT_ERROR(ParseSolverFile("x", "[1, 2"), Errc::kBadFile, "x: not JSON at byte 6");
  EXPECT_ERROR(ParseSolverFile("x", std::string(100000, '[') + std::string(100000, ']')), Errc::kBadFile,
               "x: JSON nested more than 64 deep");
}

// Whatever stands at whatever key: either the file is read, or the message names the key in our own words.
TEST(SolverFile, EveryEntryOfAnotherKindIsNamed) {
  SolverFile scalar = Example(), spectral = SpectralExample();
  scalar.guidance = 2;
  scalar.guidance_range = {1, 3};
  scalar.state_shape = {1, 2, 2};
  int64_t refused = 0;
  for (const SolverFile& file : {scalar, spectral}) {
    for (const testing::JsonChange& change :
         testing::KindChanges(nlohmann::json::parse(FormatSolverFile(file)))) {
      SCOPED_TRACE(change.what);
      try {
        ParseSolverFile("x.gas.json", change.json.dump());
      } catch (const Error& error) {
        const std::string message = error.what();
        ++refused;
        EXPECT_EQ(error.code(), Errc::kBadFile) << message;
        EXPECT_TRUE(message.starts_with("x.gas.json: ")) << message;
        EXPECT_EQ(message.find("json.exception"), message.npos) << message;
        EXPECT_TRUE(testing::Names(message, change.key)) << message;
        EXPECT_LT(message.size(), 300u) << message;
      }
    }
  }
  EXPECT_GT(refused, 200);
}

TEST(SolverFile, WritesAtomically) {
  const auto path =
      std::filesystem::temp_directory_path() / ("solver_" + std::to_string(::getpid()) + ".gas.json");
  WriteSolverFile(path, Example());
  EXPECT_EQ(ReadSolverFile(path).entries.size(), 2u);
  std::filesystem::remove(path);
  EXPECT_ERROR(WriteSolverFile("/nowhere/at/all.gas.json", Example()), Errc::kIo, "/nowhere/at/all.gas.json");
}

}  // namespace
}  // namespace gas
