// Students as solver files keep them, and the files of every format that there has been.
#include <set>

#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/models/model.h"
#include "gas/solver/sampler.h"
#include "gas/solver/solver_file.h"
#include "gas/student/student.h"
#include "support/expect.h"
#include "support/formats.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::SameBits;

std::map<std::string, Tensor> Changed(const Student& student) {
  std::map<std::string, Tensor> values;
  for (const auto& [name, value] : student.parameters()) {
    values[name] = value.detach() + 0.01 * torch::randn_like(value.detach());
  }
  return values;
}

// The entry that a trainer would write for these values, after a way through a file.
SolverEntry Stored(const Student& student, const std::map<std::string, Tensor>& values) {
  SolverFile file{.schedule = student.schedule(), .entries = {}};
  SolverEntry entry{.table = student.TableOf(values).Detached(), .student = student.Record(values)};
  file.entries[student.config().steps] = entry;
  return ParseSolverFile("x.gas.json", FormatSolverFile(file)).at(student.config().steps);
}

TEST(StudentRecord, EveryParametrizationGoesOnWhereItWasLeft) {
  torch::manual_seed(4);
  const SchedulePtr schedule = VpLinearSchedule();
  for (const auto kind : {Parametrization::kTheory, Parametrization::kReferenceFree, Parametrization::kTimes,
                          Parametrization::kLms, Parametrization::kLmsCorrected}) {
    const Student student({.steps = 4, .parametrization = kind}, schedule);
    const auto values = Changed(student);
    const SolverEntry entry = Stored(student, values);
    const Student again = Student::FromEntry(entry, schedule);
    for (const auto& [name, value] : values) {
      EXPECT_TRUE(SameBits(again.parameters().at(name).detach(), value)) << name;
    }
    EXPECT_TRUE(SameBits(again.Table().a.detach(), entry.table.a)) << kParametrizationNames.NameOf(kind);
    EXPECT_TRUE(SameBits(again.Table().b.detach(), entry.table.b)) << kParametrizationNames.NameOf(kind);
  }
}

TEST(StudentRecord, SpectralStudentsKeepBandsStartAndWhatIsTrained) {
  torch::manual_seed(5);
  const SchedulePtr schedule = VpLinearSchedule();
  const SpectralBasisPtr basis = MakeSpectralBasis({2, 4, 4}, 3);
  StepTable table = Student({.steps = 3}, schedule).Table().Detached();
  for (Tensor* m : {&table.a, &table.b}) {
    const Tensor bands = 1 + 0.1 * torch::randn({3, 3, basis->components(), basis->bands()}, torch::kFloat64);
    *m = m->view({3, 3, 1, 1}) * bands;
  }
  table.basis = basis;
  table.start = std::make_shared<SpectralStart>(
      SpectralStart{torch::rand(basis->shape, torch::kFloat64), torch::rand(basis->shape, torch::kFloat64)});
  for (const bool per_band : {false, true}) {
    const Student student = Student::FromTable(table, schedule, {.per_band = per_band});
    const auto values = Changed(student);
    const SolverEntry entry = Stored(student, values);
    const Student again = Student::FromEntry(entry, schedule);
    for (const auto& [name, value] : values) {
      EXPECT_TRUE(SameBits(again.parameters().at(name).detach(), value)) << name;
    }
    EXPECT_EQ(again.fixed().size(), student.fixed().size());
    EXPECT_TRUE(Close(again.Table().b.detach(), entry.table.b, 1e-10, 0));
    // Further training moves it as it would have moved the first one.
    const auto later = Changed(again);
    EXPECT_TRUE(Close(again.TableOf(later).a.detach(), student.TableOf(later).a.detach(), 1e-10, 0));
    EXPECT_TRUE(Close(again.TableOf(later).b.detach(), student.TableOf(later).b.detach(), 1e-10, 0));
    EXPECT_TRUE(SameBits(again.Table().start->gain, table.start->gain));
  }
}

TEST(StudentRecord, RefusesWhatIsNoStudentOfThisProgram) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Student student({.steps = 3}, schedule);
  const SolverEntry entry = Stored(student, Changed(student));
  const auto refused = [&](const std::function<void(StudentRecord&)>& change, const std::string& message) {
    SolverEntry copy = entry;
    change(*copy.student);
    EXPECT_ERROR(Student::FromEntry(copy, schedule), Errc::kBadFile, message);
  };
  refused([](auto& r) { r.config["parametrization"] = "magic"; }, "magic");
  refused([](auto& r) { r.config.erase("order"); }, "student has no order");
  refused([](auto& r) { r.parameters.erase("xi"); }, "tensor xi is missing");
  refused([](auto& r) { r.parameters["c"] = torch::zeros({2, 2}, torch::kFloat64); }, "tensor c has shape");
  SolverEntry none = entry;
  none.student.reset();
  EXPECT_ERROR(Student::FromEntry(none, schedule), Errc::kBadFile, "it has no student");
}

// Files that earlier builds wrote: read, sampled to what those builds sampled, and trained on.
TEST(SolverFormats, EveryFormatIsReadAndSamplesAsItDid) {
  const std::filesystem::path folder = testing::FormatFolder() / "solver";
  const Bytes bytes = ReadFile(folder / "cases.json", 1 << 20);
  const json fixture = json::parse(bytes.begin(), bytes.end());
  ASSERT_FALSE(fixture.at("made_by").empty());
  ASSERT_FALSE(fixture.at("why_tol").get<std::string>().empty());
  const Model model = OpenModel((folder / "mixture.json").string());
  const Tensor noise =
      NoiseFor(fixture.at("seeds").get<std::vector<Seed>>(), fixture.at("shape").get<std::vector<int64_t>>());
  std::set<int> formats;
  for (const json& c : fixture.at("cases")) {
    SCOPED_TRACE(c.at("file").get<std::string>());
    const SolverFile file = ReadSolverFile(folder / c.at("file").get<std::string>());
    EXPECT_EQ(file.model_sha256, model.sha256);
    formats.insert(c.at("format").get<int>());
    const SolverEntry& entry = file.at(c.at("nfe").get<int64_t>());
    const Tensor expected =
        torch::tensor(c.at("sample").get<std::vector<double>>(), torch::kFloat64).view(noise.sizes());
    const torch::NoGradGuard no_grad;
    EXPECT_TRUE(Close(RunTable(entry.table, *model.denoiser, noise, {}), expected, 0, fixture.at("atol")));
    const Student student = Student::FromEntry(entry, file.schedule);
    EXPECT_TRUE(Close(student.Table().a, entry.table.a, 1e-10, 0));
    EXPECT_TRUE(Close(student.Table().b, entry.table.b, 1e-10, 0));
    EXPECT_TRUE(Close(student.Table().t_eval, entry.table.t_eval, 1e-12, 0));
  }
  EXPECT_EQ(formats, (std::set<int>{kScalarFormat, kSpectralFormat})) << "a format without a file of its own";
}

}  // namespace
}  // namespace gas
