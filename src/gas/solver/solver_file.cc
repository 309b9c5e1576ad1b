#include "gas/solver/solver_file.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/json_mapping.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// nlohmann-json writes the shortest decimal text that reads back to the same double.
Json ToJson(const Tensor& tensor) {
  const Tensor values = tensor.detach().to(torch::kFloat64).cpu().contiguous();
  if (values.dim() == 0) return values.item<double>();
  Json array = Json::array();
  for (int64_t i = 0; i < values.size(0); ++i) array.push_back(ToJson(values[i]));
  return array;
}

constexpr int kMaxDimensions = 4;

void AppendNumbers(const std::string& what, const Json& json, size_t level, std::vector<int64_t>& shape,
                   std::vector<double>& numbers) {
  if (!json.is_array()) {
    const double number = RealNumber("an entry of " + what, json);
    GAS_CHECK(level == shape.size(), Errc::kBadFile, what, " mixes numbers and lists");
    numbers.push_back(number);
    return;
  }
  if (level == shape.size()) {
    GAS_CHECK(numbers.empty() && level < kMaxDimensions, Errc::kBadFile, what, " has lists nested more than ",
              kMaxDimensions, " deep, or unevenly");
    shape.push_back(static_cast<int64_t>(json.size()));
  }
  GAS_CHECK(static_cast<int64_t>(json.size()) == shape[level], Errc::kBadFile, what, " has rows of ",
            shape[level], " and ", json.size(), " numbers, must be equal");
  for (const Json& item : json) AppendNumbers(what, item, level + 1, shape, numbers);
}

// Nested lists of equal lengths, whose path is `what`, as a float64 tensor.
Tensor FromJson(const std::string& what, const Json& json) {
  ListSize(what, json);
  std::vector<int64_t> shape;
  std::vector<double> numbers;
  AppendNumbers(what, json, 0, shape, numbers);
  return torch::tensor(numbers, torch::kFloat64).reshape(shape);
}

// The list at `key` of an object whose path is `what`.
Tensor TensorAt(const std::string& what, const Json& json, const char* key) {
  return FromJson(what + "." + key, EntryAt(what, json, key));
}

Json BasisToJson(const SpectralBasis& basis) {
  return {{"shape", basis.shape}, {"rotation", ToJson(basis.rotation)}, {"edges", ToJson(basis.edges)}};
}

SpectralBasisPtr BasisFromJson(const std::string& what, const Json& json) {
  CheckObject(what, json);
  auto basis = std::make_shared<SpectralBasis>();
  ReadNeeded(what, json, "shape", basis->shape);
  basis->rotation = TensorAt(what, json, "rotation");
  basis->edges = TensorAt(what, json, "edges");
  ValidateBasis(*basis);
  return basis;
}

std::shared_ptr<const SpectralStart> StartFromJson(const std::string& what, const Json& json) {
  CheckObject(what, json);
  return std::make_shared<SpectralStart>(
      SpectralStart{TensorAt(what, json, "gain"), TensorAt(what, json, "offset")});
}

// The parameters stand beside the entries of the configuration.
Json StudentToJson(const StudentRecord& student) {
  Json json = student.config;
  json["parameters"] = Json::object();
  for (const auto& [name, value] : student.parameters) json["parameters"][name] = ToJson(value);
  return json;
}

StudentRecord StudentFromJson(const std::string& what, const Json& json) {
  // Parameters that may be single numbers.
  const auto parameter = [](const std::string& of, const Json& value) {
    return value.is_number() ? Scalar(value.get<double>()) : FromJson(of, value);
  };
  CheckObject(what, json);
  StudentRecord student{.config = json, .parameters = {}};
  const Json& parameters = MappingAt(what, json, "parameters");
  for (const auto& [name, value] : parameters.items()) {
    student.parameters[name] = parameter(what + ".parameters." + Printable(name), value);
  }
  student.config.erase("parameters");
  return student;
}

// `what`: the path of the table in its file.
SolverEntry EntryFromJson(const std::string& what, const Json& json) {
  CheckObject(what, json);
  SolverEntry entry;
  StepTable& t = entry.table;
  ReadNeeded(what, json, "method", t.method);
  ReadNeeded(what, json, "prior_std", t.prior_std);
  t.t = TensorAt(what, json, "t");
  t.t_eval = TensorAt(what, json, "t_eval");
  t.alpha = TensorAt(what, json, "alpha");
  t.sigma = TensorAt(what, json, "sigma");
  t.alpha_eval = TensorAt(what, json, "alpha_eval");
  t.sigma_eval = TensorAt(what, json, "sigma_eval");
  t.a = TensorAt(what, json, "A");
  t.b = TensorAt(what, json, "B");
  if (json.contains("basis")) t.basis = BasisFromJson(what + ".basis", json["basis"]);
  if (json.contains("start")) t.start = StartFromJson(what + ".start", json["start"]);
  GAS_CHECK(t.basis != nullptr || (t.start == nullptr && t.a.dim() != 4), Errc::kBadFile, what,
            " has no basis, which its bands or its start are of");
  ReadNeeded(what, json, "t_eps", entry.t_eps);
  entry.provenance = json.value("provenance", Json::object());
  CheckObject(what + ".provenance", entry.provenance);
  ValidateTable(t);
  const Json& nfe = EntryAt(what, json, "nfe");
  GAS_CHECK(WholeNumber(what + ".nfe", nfe) == t.nfe(), Errc::kBadFile, what, ".nfe = ", Shown(nfe),
            ", but the table has ", t.nfe(), " rows");
  GAS_CHECK((t.t.diff() < 0).all().item<bool>(), Errc::kBadFile, what, ".t = ", Shown(json.at("t")),
            ", must descend");
  if (json.contains("student")) entry.student = StudentFromJson(what + ".student", json["student"]);
  return entry;
}

// What holds for all tables of a file. Its errors do not name the file.
void ReadHeader(const Json& json, SolverFile& file) {
  const std::string what = "the file";
  file.schedule = ScheduleFromJson(EntryAt(what, json, "schedule"));
  std::string prediction;
  ReadField("prediction", EntryAt(what, json, "prediction"), prediction);
  file.prediction = kPredictionTypeNames.FromName(prediction);
  ReadField("guidance", EntryAt(what, json, "guidance"), file.guidance);
  if (json.contains("guidance_range")) {
    std::vector<double> range;
    ReadField("guidance_range", json["guidance_range"], range);
    GAS_CHECK(range.size() == 2, Errc::kBadFile, "guidance_range = ", Shown(json["guidance_range"]),
              ", must be a list of two numbers");
    file.guidance_range = {range[0], range[1]};
    GAS_CHECK(file.Serves(file.guidance), Errc::kBadFile, "guidance = ", file.guidance,
              ", must be in guidance_range = ", Shown(json["guidance_range"]));
  }
  if (json.contains("model")) ReadField("model", json["model"], file.model);
  if (json.contains("model_sha256")) ReadField("model_sha256", json["model_sha256"], file.model_sha256);
  if (json.contains("state_shape")) ReadField("state_shape", json["state_shape"], file.state_shape);
}

void ReadTables(const Json& tables, SolverFile& file) {
  const size_t count = ListSize("tables", tables);
  for (size_t i = 0; i < count; ++i) {
    SolverEntry entry = EntryFromJson("tables[" + std::to_string(i) + "]", tables[i]);
    const int64_t nfe = entry.table.nfe();
    GAS_CHECK(file.entries.emplace(nfe, std::move(entry)).second, Errc::kBadFile,
              "two tables for nfe = ", nfe);
  }
  GAS_CHECK(!file.entries.empty(), Errc::kBadFile, "no tables");
}

}  // namespace

bool SolverFile::Serves(double scale) const {
  if (!guidance_range) return scale == guidance;
  return scale >= guidance_range->first && scale <= guidance_range->second;
}

std::string SolverFile::GuidanceText() const { return gas::GuidanceText(guidance, guidance_range); }

Json SolverEntryToJson(const SolverEntry& entry) {
  const StepTable& t = entry.table;
  Json json = {{"nfe", t.nfe()},
               {"method", t.method},
               {"t_eps", entry.t_eps},
               {"prior_std", t.prior_std},
               {"t", ToJson(t.t)},
               {"t_eval", ToJson(t.t_eval)},
               {"alpha", ToJson(t.alpha)},
               {"sigma", ToJson(t.sigma)},
               {"alpha_eval", ToJson(t.alpha_eval)},
               {"sigma_eval", ToJson(t.sigma_eval)},
               {"A", ToJson(t.a)},
               {"B", ToJson(t.b)},
               {"provenance", entry.provenance}};
  if (t.basis != nullptr) json["basis"] = BasisToJson(*t.basis);
  if (t.start != nullptr)
    json["start"] = {{"gain", ToJson(t.start->gain)}, {"offset", ToJson(t.start->offset)}};
  if (entry.student) json["student"] = StudentToJson(*entry.student);
  return json;
}

SolverEntry SolverEntryFromJson(const std::string& name, const Json& json) {
  try {
    return EntryFromJson("table", json);
  } catch (const Error& e) {
    Fail(Errc::kBadFile, name, ": ", e.what());
  }
}

const SolverEntry& SolverFile::at(int64_t nfe) const {
  const auto found = entries.find(nfe);
  if (found != entries.end()) return found->second;
  std::string list;
  for (const auto& [n, entry] : entries) list += (list.empty() ? "" : ", ") + std::to_string(n);
  Fail(Errc::kBadOption, name, ": no table for nfe = ", nfe, ", it has ", list);
}

SolverFile ParseSolverFile(const std::string& name, const std::string& text) {
  const Json json = ParseJson(name, text);
  GAS_CHECK(json.is_object(), Errc::kBadFile, name, ": not a JSON object, so not a solver file");
  try {
    GAS_CHECK(json.contains("gas_solver"), Errc::kBadFile, "no entry gas_solver, so not a solver file");
    const Json& format = json.at("gas_solver");
    GAS_CHECK(format.is_number_integer() && format >= 1 && format <= kSpectralFormat, Errc::kBadFile,
              "gas_solver = format ", Shown(format), ", this program reads 1 to ", kSpectralFormat);
    SolverFile file;
    file.name = name;
    ReadHeader(json, file);
    ReadTables(EntryAt("the file", json, "tables"), file);
    return file;
  } catch (const Error& e) {
    Fail(Errc::kBadFile, name, ": ", e.what());
  } catch (const c10::Error& e) {
    Fail(Errc::kBadFile, name, ": ", e.what_without_backtrace());
  }
}

SolverFile ReadSolverFile(const std::filesystem::path& path) {
  const Bytes bytes = ReadFile(path, 256 << 20);
  return ParseSolverFile(path.string(), std::string(bytes.begin(), bytes.end()));
}

std::string FormatSolverFile(const SolverFile& file) {
  const bool spectral = std::any_of(file.entries.begin(), file.entries.end(),
                                    [](const auto& entry) { return entry.second.table.basis != nullptr; });
  Json json = {{"gas_solver", spectral ? kSpectralFormat : kScalarFormat},
               {"schedule", file.schedule->ToJson()},
               {"prediction", kPredictionTypeNames.NameOf(file.prediction)},
               {"guidance", file.guidance},
               {"model", file.model},
               {"model_sha256", file.model_sha256},
               {"tables", Json::array()}};
  if (file.guidance_range) json["guidance_range"] = *file.guidance_range;
  if (!file.state_shape.empty()) json["state_shape"] = file.state_shape;
  for (const auto& [nfe, entry] : file.entries) json["tables"].push_back(SolverEntryToJson(entry));
  return json.dump(1) + "\n";
}

void WriteSolverFile(const std::filesystem::path& path, const SolverFile& file) {
  WriteFile(path, FormatSolverFile(file));
}

}  // namespace gas
