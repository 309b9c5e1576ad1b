// Texts in files and first lines of processes that would take over a terminal, or fill it: whatever a verb
// prints of them is escaped and short.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "gas/cli/run.h"
#include "gas/models/model.h"
#include "gas/solver/registry.h"
#include "gas/solver/solver_file.h"
#include "gas/teacher/solver_choice.h"
#include "gas/teacher/teacher.h"
#include "support/expect.h"
#include "support/json_changes.h"
#include "support/temp_folder.h"

namespace gas::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

constexpr size_t kLongestLine = 300;

// What the program prints, its error too.
std::string PrintedBy(const Words& words) {
  Words arguments = {"gas"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  std::string error;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  try {
    Run(static_cast<int>(argv.size()), argv.data());
  } catch (const Error& e) {
    error = e.what();
  }
  const std::string out = ::testing::internal::GetCapturedStdout();
  return out + ::testing::internal::GetCapturedStderr() + error + "\n";
}

// Returns whether anything of the hostile text was printed.
bool ExpectHarmless(const Words& words) {
  const std::string printed = PrintedBy(words);
  std::istringstream lines(printed);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kLongestLine) << words[0] << ": " << line.substr(0, 400);
    unsigned char before = 0;
    for (const unsigned char c : line) {
      const bool control = c < 0x20 || c == 0x7f || (before == 0xc2 && c >= 0x80 && c < 0xa0);
      EXPECT_FALSE(control) << words[0] << ": byte " << static_cast<int>(c);
      if (control) return true;
      before = c;
    }
  }
  return printed.find("qqqq") != printed.npos;
}

class HostileText : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  void Put(const std::string& name, const std::string& text) const { std::ofstream(Path(name)) << text; }

  testing::TempFolder folder_{"hostile"};
};

TEST_F(HostileText, OfASolverFile) {
  const Model model = OpenModel("mixture");
  SolverFile file = NewSolverFile(model);
  file.entries[2] = {
      .table = MakeSolverTable("ddim", *model.schedule, "", 2, model.t_eps),
      .t_eps = model.t_eps,
      .provenance = {{"imported", "somewhere"}, {"teacher", {{"model", "m"}, {"grid", "edm"}}}}};
  int64_t shown = 0;
  for (const testing::JsonChange& change : testing::HostileChanges(Json::parse(FormatSolverFile(file)))) {
    SCOPED_TRACE(change.what);
    Put("x.json", change.json.dump());
    const Words sample = {"sample",  "--model", "mixture",  "--solver",    Path("x.json"), "--nfe",       "2",
                          "--seeds", "0",       "--format", "safetensors", "--out",        Path("out.st")};
    Words forced = sample;
    forced.push_back("--force");
    shown += ExpectHarmless(sample);
    shown += ExpectHarmless(forced);
    shown += ExpectHarmless({"inspect", Path("x.json")});
    shown += ExpectHarmless({"export", "--solver", Path("x.json"), "--to", "c", "--out", Path("c")});
  }
  EXPECT_GT(shown, 5);
}

TEST_F(HostileText, OfTeacherData) {
  const Model model = OpenModel("mixture");
  TeacherSpec spec{.solver = "ddim", .grid = "logsnr", .dtype = "float32", .convolution = "direct"};
  SetModel(spec, model);
  spec.texts = {{"encoder", "ab"}};
  const StepTable table = MakeSolverTable("ddim", *model.schedule, "logsnr", 2, model.t_eps);
  WriteTeacherData(Path("d"), spec, model, table, SeedRange(0, 8), {.batch = 8});
  const auto read = [&](const char* name) {
    std::ifstream in(folder_.path() / "d" / name);
    return Json::parse(in);
  };
  int64_t shown = 0;
  const auto look = [&](const std::string& name, const Json& good) {
    for (const testing::JsonChange& change : testing::HostileChanges(good)) {
      SCOPED_TRACE(name + change.what);
      Put("d/" + name, change.json.dump());
      shown += ExpectHarmless({"inspect", Path("d")});
      shown += ExpectHarmless({"train", "--model", "mixture", "--teacher", Path("d"), "--held-out", "4",
                               "--nfe", "2", "--iterations", "1", "--batch", "2", "--out", Path("run")});
      shown += ExpectHarmless({"teacher", "--model", "mixture", "--solver", "ddim", "--grid", "logsnr",
                               "--nfe", "2", "--seeds", "0-7", "--out", Path("d")});
    }
    Put("d/" + name, good.dump());
  };
  look("manifest.json", read("manifest.json"));
  look("shard-00000000.json", read("shard-00000000.json"));
  EXPECT_GT(shown, 10);
}

TEST_F(HostileText, OfAMixture) {
  const Json mixture = {{"gas_mixture", 1},
                        {"shape", {2, 1, 1}},
                        {"weights", {1}},
                        {"means", {{1, 0}}},
                        {"covariances", {{{0.5, 0}, {0, 0.5}}}},
                        {"schedule", VpLinearSchedule()->ToJson()}};
  Put("good.json", mixture.dump());
  const Words format = {"--nfe", "2", "--seeds", "0", "--format", "safetensors", "--out", Path("out.st")};
  const auto sample = [&](const std::string& name) {
    Words words = {"sample", "--model", Path(name)};
    words.insert(words.end(), format.begin(), format.end());
    return words;
  };
  EXPECT_FALSE(ExpectHarmless(sample("good.json")));
  Json curve = mixture;
  curve["schedule"] = {{"kind", "scaled-sigma"}, {"curve", "vp"}};
  for (const Json& json : {mixture, curve}) {
    for (const testing::JsonChange& change : testing::HostileChanges(json)) {
      SCOPED_TRACE(change.what);
      Put("m.json", change.json.dump());
      EXPECT_TRUE(ExpectHarmless(sample("m.json")));
    }
  }
}

TEST_F(HostileText, OfAProcess) {
  const Json hello = {{"gas_denoiser", 2},
                      {"name", "one"},
                      {"shape", {1, 2, 2}},
                      {"prediction", "data"},
                      {"dtype", "float32"},
                      {"guidance", "program"},
                      {"schedule", VpLinearSchedule()->ToJson()}};
  for (const testing::JsonChange& change : testing::HostileChanges(hello)) {
    SCOPED_TRACE(change.what);
    Put("hello.json", change.json.dump() + "\n");
    EXPECT_TRUE(ExpectHarmless({"sample", "--model", "exec:cat " + Path("hello.json"), "--nfe", "1"}));
  }
  Put("hello.json", testing::HostileText() + "\n");
  EXPECT_TRUE(ExpectHarmless({"sample", "--model", "exec:cat " + Path("hello.json"), "--nfe", "1"}));
}

TEST_F(HostileText, OfAConfiguration) {
  const Json keys = {{"model", {{"name", "mixture"}}},
                     {"solver", {{"t_eps", "0.1"}}},
                     {"sample",
                      {{"format", "grid"},
                       {"seeds", "0"},
                       {"batch", "4"},
                       {"out", "x"},
                       {"class", "1"},
                       {"columns", "3"},
                       {"solver", "ddim"},
                       {"grid", "edm"}}},
                     {"run", {{"device", "cpu"}, {"dtype", "float32"}, {"threads", "1"}}}};
  for (const testing::JsonChange& change : testing::HostileChanges(keys)) {
    SCOPED_TRACE(change.what);
    Put("c.json", change.json.dump());
    EXPECT_TRUE(ExpectHarmless({"sample", "--config", Path("c.json"), "--dry-run"}));
    ExpectHarmless({"sample", "--config", Path("c.json")});
  }
  const Json unknown_key = {{"sample", {{testing::HostileText(), 1}}}};
  const Json number = {{"sample", {{"batch", testing::HostileText()}}}};
  for (const Json& json : {unknown_key, number}) {
    Put("c.json", json.dump());
    EXPECT_TRUE(ExpectHarmless({"sample", "--config", Path("c.json")}));
  }
}

TEST_F(HostileText, DeepNestingIsTheFilesFault) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  Put("c.json", "{\"sample\": " + deep + "}");
  const auto printed = [&](const Words& words) { return PrintedBy(words); };
  EXPECT_THAT(printed({"sample", "--config", Path("c.json")}),
              ::testing::HasSubstr("c.json: JSON nested more than 64 deep"));
  Put("grid.json", deep);
  EXPECT_THAT(
      printed({"sample", "--model", "mixture", "--grid", Path("grid.json"), "--format", "safetensors"}),
      ::testing::HasSubstr("grid.json"));
}

}  // namespace
}  // namespace gas::cli
