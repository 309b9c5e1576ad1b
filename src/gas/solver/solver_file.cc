#include "gas/solver/solver_file.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

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

void AppendNumbers(const Json& json, size_t level, std::vector<int64_t>& shape,
                   std::vector<double>& numbers) {
  if (!json.is_array()) {
    GAS_CHECK(level == shape.size(), Errc::kBadFile, "a list mixes numbers and lists");
    numbers.push_back(RealNumber("an entry of a list", json));
    return;
  }
  if (level == shape.size()) {
    GAS_CHECK(numbers.empty() && level < kMaxDimensions, Errc::kBadFile, "lists nested more than ",
              kMaxDimensions, " deep, or unevenly");
    shape.push_back(static_cast<int64_t>(json.size()));
  }
  GAS_CHECK(static_cast<int64_t>(json.size()) == shape[level], Errc::kBadFile, "rows of ", shape[level],
            " and ", json.size(), " numbers, must be equal");
  for (const Json& item : json) AppendNumbers(item, level + 1, shape, numbers);
}

// Nested lists of equal lengths as a float64 tensor.
Tensor FromJson(const Json& json) {
  std::vector<int64_t> shape;
  std::vector<double> numbers;
  AppendNumbers(json, 0, shape, numbers);
  return torch::tensor(numbers, torch::kFloat64).reshape(shape);
}

Json BasisToJson(const SpectralBasis& basis) {
  return {{"shape", basis.shape}, {"rotation", ToJson(basis.rotation)}, {"edges", ToJson(basis.edges)}};
}

SpectralBasisPtr BasisFromJson(const Json& json) {
  auto basis = std::make_shared<SpectralBasis>();
  json.at("shape").get_to(basis->shape);
  basis->rotation = FromJson(json.at("rotation"));
  basis->edges = FromJson(json.at("edges"));
  ValidateBasis(*basis);
  return basis;
}

// The parameters stand beside the entries of the configuration.
Json StudentToJson(const StudentRecord& student) {
  Json json = student.config;
  json["parameters"] = Json::object();
  for (const auto& [name, value] : student.parameters) json["parameters"][name] = ToJson(value);
  return json;
}

StudentRecord StudentFromJson(const Json& json) {
  StudentRecord student{.config = json, .parameters = {}};
  for (const auto& [name, value] : json.at("parameters").items()) student.parameters[name] = FromJson(value);
  student.config.erase("parameters");
  return student;
}

SolverEntry EntryFromJson(const Json& json) {
  SolverEntry entry;
  StepTable& t = entry.table;
  t.method = json.at("method").get<std::string>();
  t.prior_std = RealNumber("prior_std", json.at("prior_std"));
  t.t = FromJson(json.at("t"));
  t.t_eval = FromJson(json.at("t_eval"));
  t.alpha = FromJson(json.at("alpha"));
  t.sigma = FromJson(json.at("sigma"));
  t.alpha_eval = FromJson(json.at("alpha_eval"));
  t.sigma_eval = FromJson(json.at("sigma_eval"));
  t.a = FromJson(json.at("A"));
  t.b = FromJson(json.at("B"));
  if (json.contains("basis")) t.basis = BasisFromJson(json["basis"]);
  if (json.contains("start")) {
    t.start = std::make_shared<SpectralStart>(
        SpectralStart{FromJson(json["start"].at("gain")), FromJson(json["start"].at("offset"))});
  }
  entry.t_eps = RealNumber("t_eps", json.at("t_eps"));
  entry.provenance = json.value("provenance", Json::object());
  ValidateTable(t);
  GAS_CHECK(WholeNumber("nfe", json.at("nfe")) == t.nfe(), Errc::kBadFile, "nfe = ", Shown(json.at("nfe")),
            ", but the table has ", t.nfe(), " rows");
  GAS_CHECK((t.t.diff() < 0).all().item<bool>(), Errc::kBadFile, "t = ", Shown(json.at("t")),
            ", must descend");
  if (json.contains("student")) entry.student = StudentFromJson(json["student"]);
  return entry;
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
    return EntryFromJson(json);
  } catch (const Json::exception& e) {
    Fail(Errc::kBadFile, name, ": ", e.what());
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
    GAS_CHECK(json.contains("gas_solver"), Errc::kBadFile, name,
              ": no entry gas_solver, so not a solver file");
    const Json& format = json.at("gas_solver");
    GAS_CHECK(format.is_number_integer() && format >= 1 && format <= kSpectralFormat, Errc::kBadFile, name,
              ": format ", Shown(format), ", this program reads 1 to ", kSpectralFormat);
    SolverFile file;
    file.name = name;
    file.schedule = ScheduleFromJson(json.at("schedule"));
    file.prediction = kPredictionTypeNames.FromName(json.at("prediction").get<std::string>());
    file.guidance = RealNumber("guidance", json.at("guidance"));
    if (json.contains("guidance_range")) {
      file.guidance_range = json["guidance_range"].get<std::pair<double, double>>();
      GAS_CHECK(file.Serves(file.guidance), Errc::kBadFile, "guidance = ", file.guidance,
                ", must be in the range of ", Shown(json["guidance_range"]));
    }
    file.model = json.value("model", "");
    file.model_sha256 = json.value("model_sha256", "");
    if (json.contains("state_shape")) ReadField("state_shape", json["state_shape"], file.state_shape);
    for (const Json& item : json.at("tables")) {
      SolverEntry entry = EntryFromJson(item);
      const int64_t nfe = entry.table.nfe();
      GAS_CHECK(file.entries.emplace(nfe, std::move(entry)).second, Errc::kBadFile,
                "two tables for nfe = ", nfe);
    }
    GAS_CHECK(!file.entries.empty(), Errc::kBadFile, "no tables");
    return file;
  } catch (const Json::exception& e) {
    Fail(Errc::kBadFile, name, ": ", e.what());
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(name)) throw;
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
