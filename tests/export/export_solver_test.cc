#include "gas/export/export_solver.h"

#include <fstream>

#include "gas/export/host_files.h"
#include "gas/io/file.h"
#include "gas/solver/registry.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SolverFile File(const SchedulePtr& schedule, const std::string& solver) {
  SolverFile file;
  file.schedule = schedule;
  file.prediction = PredictionType::kNoise;
  file.guidance = 7.5;
  file.model = "mine";
  for (const int64_t nfe : {3, 4})
    file.entries[nfe] = {.table = MakeSolverTable(solver, *schedule, "", nfe, 1e-3)};
  return file;
}

SolverFile StableDiffusion(const std::string& solver = "dpmpp-3m") {
  return File(DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012)), solver);
}

std::vector<std::string> Names(const ExportedSolver& solver) {
  std::vector<std::string> names;
  for (const ExportedFile& file : solver.files) names.push_back(file.name);
  return names;
}

std::string TextOf(const ExportedSolver& solver, const std::string& name) {
  for (const ExportedFile& file : solver.files) {
    if (file.name == name) return file.text;
  }
  return "";
}

TEST(ExportSolver, FoldersHaveWhatTheirTargetNeeds) {
  const SolverFile file = StableDiffusion();
  const auto names = [&](ExportTarget target) { return Names(ExportSolver(file, {.target = target})); };
  EXPECT_THAT(names(ExportTarget::kDiffusers),
              ElementsAre("gas_table.py", "gas_diffusers.py", "solver.gas.json", "scheduler_config.json",
                          "README.md"));
  EXPECT_THAT(names(ExportTarget::kKDiffusion),
              ElementsAre("gas_table.py", "gas_k_diffusion.py", "solver.gas.json", "README.md"));
  EXPECT_THAT(names(ExportTarget::kComfyUi), ElementsAre("__init__.py", "gas_table.py", "gas_k_diffusion.py",
                                                         "gas_comfyui.py", "solver.gas.json", "README.md"));
  EXPECT_THAT(names(ExportTarget::kC),
              ElementsAre("gas_table.h", "gas_table.c", "example.c", "solver.gas.json", "README.md"));
  EXPECT_THAT(Names(ExportSolver(file, {.target = ExportTarget::kSdCpp, .approximate = true})),
              ElementsAre("gas_solver.patch", "gas_table.h", "gas_table.c", "solver.gas.json", "README.md"));
  EXPECT_THAT(names(ExportTarget::kJson), ElementsAre("solver.gas.json", "README.md"));
}

TEST(ExportSolver, EmbeddedFilesAreThoseOfTheTree) {
  ASSERT_THAT(HostFiles(), Not(IsEmpty()));
  const std::filesystem::path hosts = std::filesystem::path(std::getenv("GAS_SOURCE_DIR")) / "hosts";
  for (const HostFile& file : HostFiles()) {
    const Bytes bytes = ReadFile(hosts / file.name);
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), file.text) << file.name;
  }
}

TEST(ExportSolver, ExportedFileHasTheTableThatWasAskedFor) {
  const SolverFile file = StableDiffusion();
  const ExportedSolver one = ExportSolver(file, {.target = ExportTarget::kJson, .nfe = 4});
  const SolverFile read = ParseSolverFile("exported", TextOf(one, "solver.gas.json"));
  EXPECT_EQ(read.entries.size(), 1U);
  EXPECT_TRUE(testing::SameBits(read.at(4).table.b, file.at(4).table.b));
  EXPECT_THAT(TextOf(one, "README.md"),
              HasSubstr("For model mine, guidance 7.5. Network evaluations: 4 (dpmpp-3m)"));
  const ExportedSolver all = ExportSolver(file, {.target = ExportTarget::kJson});
  EXPECT_EQ(ParseSolverFile("exported", TextOf(all, "solver.gas.json")).entries.size(), 2U);
  EXPECT_ERROR(ExportSolver(file, {.target = ExportTarget::kJson, .nfe = 7}), Errc::kBadOption,
               "no table for nfe = 7, it has 3, 4");
}

TEST(ExportSolver, WhatTheTargetCannotExpressIsAnErrorUnlessAskedFor) {
  const SolverFile file = StableDiffusion();
  EXPECT_ERROR(ExportSolver(file, {.target = ExportTarget::kSdCpp}), Errc::kBadOption,
               "export.to = sd.cpp: noise levels do not have of 3: coefficients that differ");
  const ExportedSolver asked =
      ExportSolver(file, {.target = ExportTarget::kSdCpp, .nfe = 3, .approximate = true});
  EXPECT_THAT(asked.lost, ElementsAre(HasSubstr("of 3: coefficients that differ from Euler's")));
  EXPECT_THAT(TextOf(asked, "README.md"),
              HasSubstr("--steps 3 --sampling-method euler --sigmas \"14.61464,"));
  EXPECT_THAT(TextOf(asked, "README.md"), HasSubstr("- coefficients that differ"));
  EXPECT_THAT(ExportSolver(StableDiffusion("ddim"), {.target = ExportTarget::kSdCpp}).lost, IsEmpty());
}

TEST(ExportSolver, SchedulesThatTheTargetsModelsDoNotHaveAreRefused) {
  const SolverFile file = File(VpLinearSchedule(), "ddim");
  for (const ExportTarget target : {ExportTarget::kDiffusers, ExportTarget::kComfyUi, ExportTarget::kSdCpp})
    EXPECT_ERROR(ExportSolver(file, {.target = target}), Errc::kBadOption,
                 "is for schedule vp-linear, models there have discrete or flow");
  EXPECT_THAT(ExportSolver(file, {.target = ExportTarget::kC}).files, Not(IsEmpty()));
}

TEST(ExportSolver, FoldersWithFilesAreLeftAsTheyAre) {
  const testing::TempFolder folder("export");
  const ExportedSolver solver = ExportSolver(StableDiffusion(), {.target = ExportTarget::kJson});
  WriteExport(folder.path() / "new", solver);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "new" / "solver.gas.json"));
  EXPECT_ERROR(WriteExport(folder.path() / "new", solver), Errc::kBadOption,
               "has files, must be empty or new");
}

}  // namespace
}  // namespace gas
