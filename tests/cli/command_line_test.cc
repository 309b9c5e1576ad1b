// The command line in this process: what starting the program anew for each case would cost too much.
#include <filesystem>
#include <sstream>

#include "gas/cli/help.h"
#include "gas/cli/quality_table.h"
#include "gas/cli/run.h"
#include "gas/cli/text.h"
#include "support/expect.h"

namespace gas::cli {
namespace {

// Runs `gas WORDS`, which are divided at spaces.
void RunWords(const std::string& words) {
  std::istringstream stream(words);
  std::vector<std::string> arguments = {"gas"};
  for (std::string word; stream >> word;) arguments.push_back(word);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  Run(static_cast<int>(argv.size()), argv.data());
}

struct UnusedOption {
  const char* words;
  const char* message;
};

// Every verb's options that only some of its runs use.
constexpr UnusedOption kUnused[] = {
    {"sample --columns 4",
     "sample.columns = 4 (command line) is not used by this run, only with --format grid"},
    {"sample --solver ./x.gas.json --grid edm", "sample.grid = edm (command line) is not used by this run, "},
    {"sample --force", "solver.force = true (command line) is not used by this run, only for a solver file"},
    {"teacher --solver ./x.gas.json --grid edm", "teacher.grid = edm"},
    {"teacher --force", "solver.force = true"},
    {"eval --force", "solver.force = true"},
    {"train --init fit --force", "only with a solver file for --init"},
    {"fit --budget 0 --effort quick",
     "fit.effort = quick (command line) is not used by this run, only without --budget"},
    {"train --loss l1 --lpips-trunk x",
     "train.lpips_trunk = x (command line) is not used by this run, only with"},
    {"train --loss l1+self --lpips-heads x", "train.lpips_heads = x"},
    {"train --loss l1 --loss-cache 10", "train.loss_cache = 10"},
    {"train --init ./x.gas.json --grid edm", "student.grid = edm"},
    {"train --held-out 0 --validate-every 5", "train.validate_every = 5"},
    {"train --gamma 1 --augment",
     "adversary.gamma = 1 (command line) is not used by this run, only with --method"
     " gas; adversary.augment = true (command line) is not used by this run"},
    {"eval --solver ./x.gas.json --grid edm", "eval.grid = edm"},
    {"eval --real 0 --data x", "data.folder = x"},
    {"pretrain --what classifier --blocks 2", "pretrain.blocks = 2"},
    {"pretrain --what classifier --label-dropout 0", "pretrain.label_dropout = 0"},
    {"pretrain --what classifier --sigma-mean 0 --sigma-std 1", "pretrain.sigma_std = 1"},
};

TEST(CommandLine, AnOptionThatTheRunDoesNotUseIsAnErrorBeforeAnyWork) {
  for (const UnusedOption& c : kUnused) {
    SCOPED_TRACE(c.words);
    EXPECT_ERROR(RunWords(c.words), Errc::kBadOption, c.message);
    EXPECT_ERROR(RunWords(std::string(c.words) + " --dry-run"), Errc::kBadOption, c.message);
  }
}

TEST(CommandLine, TheSameOptionsAreTakenByRunsThatUseThem) {
  ::testing::internal::CaptureStdout();
  for (const char* words :
       {"sample --columns 4 --format grid", "sample --grid edm --t-eps 1e-4",
        "teacher --grid edm --t-eps 1e-4", "fit --guidance 2 --t-eps 1e-4",
        "fit --teacher d --guidance 2 --t-eps 1e-4",
        "sample --solver ./x.gas.json --guidance 2 --t-eps 1e-4 --force",
        "teacher --solver ./x.gas.json --guidance 2 --t-eps 1e-4 --force",
        "eval --solver ./x.gas.json --force", "train --init ./x.gas.json --force", "fit --effort quick",
        "fit --budget 1000", "train --loss l1+lpips-vgg --lpips-trunk x --lpips-heads y --loss-cache 10",
        "train --init fit --grid edm --validate-every 5", "train --method gas --gamma 1 --augment",
        "eval --solver ./x.gas.json,ddim --grid edm --data x",
        "pretrain --blocks 2 --label-dropout 0 --sigma-mean 0 --sigma-std 1"}) {
    EXPECT_NO_THROW(RunWords(std::string(words) + " --dry-run")) << words;
  }
  ::testing::internal::GetCapturedStdout();
}

// Every verb without options: its plan reads what a plain run uses, and all defaults are allowed values.
TEST(CommandLine, DefaultsOfEveryVerbAreValidAndPlannedWithoutWork) {
  for (const Verb& verb : AllVerbs()) {
    SCOPED_TRACE(verb.name);
    Options options(verb.rows);
    for (const OptionRow& row : verb.rows) {
      if (!row.def.empty()) options.Set(row.key, row.def, "test");
    }
    // What an import reads depends on the file, which has no default.
    if (verb.name == std::string_view("import")) {
      EXPECT_ERROR(verb.plan(Options(verb.rows)), Errc::kBadOption, "it needs a file and --out");
    } else if (verb.name == std::string_view("export")) {
      EXPECT_ERROR(verb.plan(Options(verb.rows)), Errc::kBadOption, "it needs --solver and --out");
    } else {
      EXPECT_NO_THROW(verb.plan(Options(verb.rows)));
    }
  }
  EXPECT_FALSE(std::filesystem::exists("runs"));
}

TEST(Text, SmallDistancesStayReadable) {
  EXPECT_EQ(DistanceText(0.0231), "0.023100");
  EXPECT_EQ(DistanceText(0.0001), "0.000100");
  EXPECT_EQ(DistanceText(1.234567e-8), "1.235e-08");
  EXPECT_EQ(DistanceText(0), "0.000000");
  const std::vector<Quality> rows = {
      {.label = "a", .nfe = 3, .figures = {{"distance", {.mean = 1.25e-9, .spread = 2e-10}}}},
      {.label = "b", .nfe = 3, .figures = {{"distance", {.mean = 3.21e-4, .spread = 0}}}}};
  EXPECT_THAT(QualityTable(rows), ::testing::HasSubstr("| a | 3 | 1.25e-09 ± 2.00e-10 |\n"));
  EXPECT_THAT(QualityTable(rows), ::testing::HasSubstr("| b | 3 | 0.000321 |\n"));
}

TEST(Text, LongListsOfJsonAreShown) {
  nlohmann::json json = {{"kind", "discrete"}, {"t_eps", 0.5}};
  for (int i = 0; i < 291; ++i) json["alphas_cumprod"].push_back(291 - i);
  EXPECT_EQ(ShortJson(json),
            "{\"alphas_cumprod\":\"291 ... 1 (291 entries)\",\"kind\":\"discrete\",\"t_eps\":0.5}");
  EXPECT_EQ(ShortJson(nlohmann::json::array({1, 2, 3})), "[1,2,3]");
  EXPECT_EQ(ShortJson("text"), "\"text\"");
}

TEST(Help, FitsIn100ColumnsAndNamesEveryOption) {
  const std::vector<Verb> verbs = AllVerbs();
  std::string all = Overview(verbs);
  for (const Verb& verb : verbs) {
    const std::string help = HelpOf(verb);
    for (const OptionRow& row : verb.rows) {
      EXPECT_THAT(help, ::testing::HasSubstr(std::string("\n  ") + row.flag)) << verb.name;
    }
    all += help;
  }
  std::istringstream stream(all);
  for (std::string line; std::getline(stream, line);) EXPECT_LE(line.size(), kHelpColumns) << line;
}

TEST(Help, AWordThatIsLongerThanALineStaysWhole) {
  const std::string word(120, 'x');
  EXPECT_EQ(HelpEntry("a", "b " + word + " c", 6), "  a   b\n      " + word + "\n      c\n");
  EXPECT_EQ(HelpEntry("name", "text", 6), "  name\n      text\n");
}

}  // namespace
}  // namespace gas::cli
