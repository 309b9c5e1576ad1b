#include "gas/student/solver_file.h"

#include "gas/core/error.h"
#include "gas/io/file.h"

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

Tensor VectorFromJson(const Json& json) { return torch::tensor(json.get<std::vector<double>>(), torch::kFloat64); }

Tensor MatrixFromJson(const Json& json) {
  const auto rows = json.get<std::vector<std::vector<double>>>();
  std::vector<Tensor> stacked;
  for (const auto& row : rows) {
    GAS_CHECK(row.size() == rows[0].size(), Errc::kBadFile, "rows of ", rows[0].size(), " and ", row.size(),
              " numbers, must be equal");
    stacked.push_back(torch::tensor(row, torch::kFloat64));
  }
  return stacked.empty() ? torch::zeros({0, 0}, torch::kFloat64) : torch::stack(stacked);
}

Json EntryToJson(const SolverEntry& entry) {
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
  if (entry.student) {
    json["student"] = entry.student->ToJson();
    for (const auto& [name, value] : entry.parameters) json["student"]["parameters"][name] = ToJson(value);
  }
  return json;
}

Tensor ParameterFromJson(const Json& json) {
  return !json.empty() && json[0].is_array() ? MatrixFromJson(json) : VectorFromJson(json);
}

SolverEntry EntryFromJson(const Json& json) {
  SolverEntry entry;
  StepTable& t = entry.table;
  t.method = json.at("method").get<std::string>();
  t.prior_std = json.at("prior_std").get<double>();
  t.t = VectorFromJson(json.at("t"));
  t.t_eval = VectorFromJson(json.at("t_eval"));
  t.alpha = VectorFromJson(json.at("alpha"));
  t.sigma = VectorFromJson(json.at("sigma"));
  t.alpha_eval = VectorFromJson(json.at("alpha_eval"));
  t.sigma_eval = VectorFromJson(json.at("sigma_eval"));
  t.a = MatrixFromJson(json.at("A"));
  t.b = MatrixFromJson(json.at("B"));
  entry.t_eps = json.at("t_eps").get<double>();
  entry.provenance = json.value("provenance", Json::object());
  ValidateTable(t);
  GAS_CHECK(json.at("nfe").get<int64_t>() == t.nfe(), Errc::kBadFile, "nfe = ", json.at("nfe").dump(),
            ", but the table has ", t.nfe(), " rows");
  if (json.contains("student")) {
    entry.student = StudentConfig::FromJson(json["student"]);
    for (const auto& [name, value] : json["student"].at("parameters").items()) {
      entry.parameters[name] = ParameterFromJson(value);
    }
  }
  return entry;
}

}  // namespace

const SolverEntry& SolverFile::at(int64_t nfe) const {
  const auto found = entries.find(nfe);
  if (found != entries.end()) return found->second;
  std::string list;
  for (const auto& [n, entry] : entries) list += (list.empty() ? "" : ", ") + std::to_string(n);
  Fail(Errc::kBadOption, name, ": no table for nfe = ", nfe, ", it has ", list);
}

SolverFile ParseSolverFile(const std::string& name, const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(json.is_object(), Errc::kBadFile, name, ": not a JSON object, so not a solver file");
  try {
    GAS_CHECK(json.contains("gas_solver"), Errc::kBadFile, name, ": no entry gas_solver, so not a solver file");
    const int format = json.at("gas_solver").get<int>();
    GAS_CHECK(format >= 1 && format <= kSolverFileFormat, Errc::kBadFile, name, ": format ", format,
              ", this program reads 1 to ", kSolverFileFormat);
    SolverFile file;
    file.name = name;
    file.schedule = ScheduleFromJson(json.at("schedule"));
    file.prediction = PredictionTypeFromName(json.at("prediction").get<std::string>());
    file.guidance = json.at("guidance").get<double>();
    file.model = json.value("model", "");
    file.model_sha256 = json.value("model_sha256", "");
    for (const Json& item : json.at("tables")) {
      SolverEntry entry = EntryFromJson(item);
      const int64_t nfe = entry.table.nfe();
      GAS_CHECK(file.entries.emplace(nfe, std::move(entry)).second, Errc::kBadFile, "two tables for nfe = ", nfe);
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
  Json json = {{"gas_solver", kSolverFileFormat},
               {"schedule", file.schedule->ToJson()},
               {"prediction", PredictionTypeName(file.prediction)},
               {"guidance", file.guidance},
               {"model", file.model},
               {"model_sha256", file.model_sha256},
               {"tables", Json::array()}};
  for (const auto& [nfe, entry] : file.entries) json["tables"].push_back(EntryToJson(entry));
  return json.dump(1) + "\n";
}

void WriteSolverFile(const std::filesystem::path& path, const SolverFile& file) {
  WriteFile(path, FormatSolverFile(file));
}

}  // namespace gas
