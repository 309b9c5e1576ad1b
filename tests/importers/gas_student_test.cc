// Students of the reference program of GAS (tests/fixtures/gas_checkpoints): parameters to the bit, samples
// within the tolerance that the fixtures state.
#include "gas/importers/gas_student.h"

#include <fstream>

#include "gas/models/model.h"
#include "gas/solver/sampler.h"
#include "gas/student/student.h"
#include "importers/requests.h"
#include "support/fixtures.h"
#include "support/formats.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Fixture;

const std::string kStudents[] = {"student_a", "student_b"};

std::filesystem::path StudentPath(const std::string& name) {
  return testing::FixtureFolder() / "gas_checkpoints" / name / "500.pt";
}

Model NetworkAt(double t_eps) {
  return OpenModel((testing::FixtureFolder() / "edm_networks" / "edm_ddpmpp.pkl").string(), {.t_eps = t_eps});
}

SolverFile ImportStudent(const std::string& name, const ImportRequest& request) {
  const auto file = testing::OpenForeign(StudentPath(name));
  return ImportSolver(SolverSourceOf(*file), file, request);
}

ImportRequest RequestOf(const Fixture& fixture, bool raw) {
  ImportRequest request = testing::RequestFor(NetworkAt);
  request.t_eps = fixture.json().at("t_eps").get<double>();
  request.raw = raw;
  return request;
}

TEST(GasStudent, ParametersToTheBitAveragedOrRaw) {
  for (const std::string& name : kStudents) {
    const Fixture fixture("gas_checkpoints/" + name);
    const int64_t nfe = fixture.json().at("N"), order = fixture.json().at("order");
    for (const bool raw : {false, true}) {
      SCOPED_TRACE(name + (raw ? " raw" : " averaged"));
      const SolverFile file = ImportStudent(name, RequestOf(fixture, raw));
      const SolverEntry& entry = file.at(nfe);
      const std::string prefix = raw ? "model_500/" : "ema_500/";
      const auto expected = [&](const std::string& tensor) {
        return fixture.at(prefix + tensor).to(torch::kFloat64);
      };
      const std::map<std::string, Tensor>& parameters = entry.student->parameters;
      EXPECT_TRUE(testing::SameBits(parameters.at("theta"), expected("mu_logit")));
      EXPECT_TRUE(testing::SameBits(parameters.at("xi"), expected("t_couple")));
      ASSERT_EQ(parameters.at("a").sizes(), at::IntArrayRef({order, nfe}));
      for (int64_t i = 0; i < order; ++i) {
        const std::string number = std::to_string(i + 1);
        EXPECT_TRUE(testing::SameBits(parameters.at("a")[i], expected("a" + number + "_diff")));
        EXPECT_TRUE(testing::SameBits(parameters.at("c")[i], expected("c" + number + "_diff")));
      }
      EXPECT_EQ(entry.provenance.at("iterations"), 500);
      EXPECT_EQ(entry.provenance.at("imported").at("source"), "gas-student");
      EXPECT_EQ(entry.provenance.at("imported").at("parameters"), raw ? "model" : "ema");
      EXPECT_EQ(entry.provenance.at("imported").at("sha256").get<std::string>().size(), 64u);
    }
  }
}

// The fixtures state 2e-3 in float32, and 1e-2 for an end at 1e-4.
TEST(GasStudent, SamplesLikeTheReference) {
  for (const std::string& name : kStudents) {
    const Fixture fixture("gas_checkpoints/" + name);
    const double t_eps = fixture.json().at("t_eps").get<double>();
    const Model model = NetworkAt(t_eps);
    for (const bool raw : {false, true}) {
      SCOPED_TRACE(name + (raw ? " raw" : " averaged"));
      const SolverFile file = ImportStudent(name, RequestOf(fixture, raw));
      torch::NoGradGuard no_grad;
      const Tensor images =
          RunTable(file.entries.begin()->second.table, *model.denoiser, fixture.at("noise"), {});
      const Tensor expected = fixture.at(raw ? "images_model_500" : "images_ema_500");
      EXPECT_TRUE(testing::Close(images, expected, 0, t_eps < 5e-4 ? 1e-2 : 2e-3));
    }
  }
}

// Through a file and back: training goes on from the same solver.
TEST(GasStudent, TheFileHoldsAStudentThatMakesItsTable) {
  const Fixture fixture("gas_checkpoints/student_a");
  const testing::TempFolder folder("gas_student");
  const auto path = folder.path() / "solver.gas.json";
  WriteSolverFile(path, ImportStudent("student_a", RequestOf(fixture, false)));
  const SolverFile file = ReadSolverFile(path);
  const SolverEntry& entry = file.at(fixture.json().at("N"));
  const Student student = Student::FromEntry(entry, file.schedule);
  const StepTable again = student.Table();
  EXPECT_TRUE(testing::Close(again.a, entry.table.a, 0, 1e-12));
  EXPECT_TRUE(testing::Close(again.b, entry.table.b, 0, 1e-12));
  EXPECT_TRUE(testing::Close(again.t_eval, entry.table.t_eval, 0, 1e-12));
  EXPECT_EQ(entry.t_eps, fixture.json().at("t_eps").get<double>());
  EXPECT_EQ(file.model, "edm_ddpmpp");
}

TEST(GasStudent, AnotherSizeThanAskedForIsAnErrorThatTellsTheShapes) {
  const std::string student = testing::OwnFixture("gas_checkpoints/student_a").string();
  ImportRequest request = RequestOf(Fixture(student), false);
  request.nfe = 5;
  EXPECT_ERROR(
      ImportStudent(student, request), Errc::kBadOption,
      "10 parameters of shapes [3], [4], [4], [4], [4], [4], [4], [4], [4], [4], so import.nfe must be 4");
  request.nfe = 4;
  request.order = 3;
  EXPECT_ERROR(ImportStudent(student, request), Errc::kBadOption, "so import.order must be 4");
  request.order = 4;
  EXPECT_NO_THROW(ImportStudent(student, request));
  request.t_eps.reset();
  EXPECT_ERROR(ImportStudent(student, request), Errc::kBadOption, "solver.t_eps is missing");
}

// ---- files of a test's own bytes

// A checkpoint whose averages have these shapes, over one storage of ones.
class Checkpoints {
 public:
  SolverFile Import(const std::vector<std::vector<int64_t>>& shapes, const std::string& numbers) const {
    std::vector<testing::PickledTensor> tensors;
    for (const auto& shape : shapes) tensors.push_back({.shape = shape, .strides = RowMajorStrides(shape)});
    const auto path = folder_.path() / "student.pt";
    std::ofstream(path, std::ios::binary) << testing::GasCheckpoint(tensors, numbers);
    const auto file = testing::OpenForeign(path);
    ImportRequest request = testing::RequestFor(NetworkAt);
    request.t_eps = 1e-3;
    return ImportSolver(SolverSourceOf(*file), file, request);
  }

 private:
  testing::TempFolder folder_{"gas_hostile"};
};

TEST(GasStudent, RefusesImpossibleShapesAndNumbers) {
  const Checkpoints checkpoints;
  const std::string zeros(4096 * 4, '\0');
  EXPECT_NO_THROW(checkpoints.Import({{2}, {3}, {3}, {3}}, zeros));
  const std::vector<std::vector<int64_t>> shapes[] = {
      {{2}, {3}, {3}},                           // c without a
      {{3}, {3}, {3}, {3}},                      // N-1 is not 3
      {{2}, {3}, {3}, {4}},                      // of another length
      {{1, 2}, {3}, {3}, {3}},                   // of two dimensions
      {{0}, {1}, {1}, {1}},                      // no time to train
      {{1}, {2}, {2}, {2}, {2}, {2}, {2}, {2}},  // order 3 of 2 evaluations
      {{1000}, {1001}, {1001}, {1001}},          // too many
  };
  for (const auto& list : shapes) {
    EXPECT_ERROR(checkpoints.Import(list, zeros), Errc::kBadFile, "must be [N-1] and then [N]");
  }
  EXPECT_ERROR(checkpoints.Import({{2}, {3}, {3}, {3}}, std::string(4096, '\xff')), Errc::kBadFile,
               ": 0 has entries that are not finite");
}

TEST(GasStudent, ATruncatedFileIsABadFile) {
  const testing::TempFolder folder("gas_truncated");
  std::ifstream in(StudentPath("student_a"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (const size_t size : {bytes.size() / 4, bytes.size() / 2, bytes.size() - 30}) {
    const auto path = folder.path() / std::to_string(size);
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    EXPECT_ERROR(testing::OpenForeign(path), Errc::kBadFile, path.string());
  }
}

TEST(SolverSources, AFileOfNoneTellsWhatWasLookedFor) {
  const auto file = testing::OpenForeign(testing::SourceFixtureFolder() / "pickles" / "tensors.pt");
  EXPECT_ERROR(SolverSourceOf(*file), Errc::kBadFile, "gas-student: a dictionary with ema, model and step");
}

}  // namespace
}  // namespace gas
