#include "gas/teacher/teacher_spec.h"

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/json_mapping.h"
#include "gas/solver/registry.h"
#include "gas/teacher/table_hash.h"

namespace gas {
namespace {

std::vector<double> ToVector(const Tensor& values) {
  const Tensor flat = values.detach().to(torch::kFloat64).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// Data of format 1 named their solver and grid, no times: those of a solver by name can be made again.
Tensor TimesOfFormat1(const TeacherSpec& spec, const NoiseSchedule& schedule) {
  return MakeSolverTable(spec.solver, schedule, spec.grid, spec.nfe, spec.t_eps).t;
}

// The bookkeeping behind a hash says nothing to people; the hash itself is compared.
bool IsCompared(const std::string& key) { return key != "times" && key != "network_times"; }

// A number, or [low, high], which programs that know no range refuse.
nlohmann::json GuidanceJson(const TeacherSpec& spec) {
  if (!spec.guidance_range) return spec.guidance;
  return {spec.guidance_range->first, spec.guidance_range->second};
}

void ReadGuidance(TeacherSpec& spec, const nlohmann::json& json) {
  if (!json.is_array()) {
    spec.guidance = RealNumber("spec.guidance", json);
    return;
  }
  GAS_CHECK(json.size() == 2, Errc::kBadFile, "spec.guidance: ", json.size(), " numbers, must be 1 or 2");
  const double low = RealNumber("spec.guidance", json[0]), high = RealNumber("spec.guidance", json[1]);
  GAS_CHECK(low < high, Errc::kBadFile, "spec.guidance = [", low, ", ", high, "], must ascend");
  spec.guidance_range = {low, high};
  spec.guidance = (low + high) / 2;
}

}  // namespace

nlohmann::json TeacherSpec::ToJson() const {
  nlohmann::json json = {{"model", model},
                         {"model_sha256", model_sha256},
                         {"solver", solver},
                         {"grid", grid},
                         {"nfe", nfe},
                         {"t_eps", t_eps},
                         {"guidance", GuidanceJson(*this)},
                         {"states", states},
                         {"shape", shape},
                         {"classes", classes}};
  if (!dtype.empty()) json["dtype"] = dtype;
  if (!convolution.empty()) json["convolution"] = convolution;
  if (!table_sha256.empty()) json["table_sha256"] = table_sha256;
  if (!times.empty()) json["times"] = times;
  if (!network_times.empty()) json["network_times"] = network_times;
  if (!texts.empty()) json["texts"] = texts;
  if (!imported.empty()) json["imported"] = imported;
  return json;
}

TeacherSpec TeacherSpec::FromJson(const nlohmann::json& json) {
  const std::string what = "spec";
  CheckObject(what, json);
  TeacherSpec spec;
  ReadNeeded(what, json, "model", spec.model);
  ReadNeeded(what, json, "model_sha256", spec.model_sha256);
  ReadNeeded(what, json, "solver", spec.solver);
  ReadNeeded(what, json, "grid", spec.grid);
  ReadNeeded(what, json, "nfe", spec.nfe);
  ReadNeeded(what, json, "t_eps", spec.t_eps);
  ReadGuidance(spec, EntryAt(what, json, "guidance"));
  ReadNeeded(what, json, "states", spec.states);
  ReadNeeded(what, json, "shape", spec.shape);
  for (const int64_t size : spec.shape) WholeNumber("spec.shape", size, 1);
  spec.classes = WholeNumber("spec.classes", EntryAt(what, json, "classes"), 0);
  ReadOptional(what, json, "dtype", spec.dtype);
  ReadOptional(what, json, "convolution", spec.convolution);
  ReadOptional(what, json, "table_sha256", spec.table_sha256);
  ReadOptional(what, json, "times", spec.times);
  ReadOptional(what, json, "network_times", spec.network_times);
  ReadOptional(what, json, "texts", spec.texts);
  ReadOptional(what, json, "imported", spec.imported);
  return spec;
}

void SetModel(TeacherSpec& spec, const Model& model) {
  spec.model = model.name;
  spec.model_sha256 = model.sha256;
  spec.t_eps = model.t_eps;
  spec.guidance = model.guidance;
  spec.guidance_range = model.guidance_range;
  spec.shape = model.shape;
  spec.classes = model.classes;
  spec.texts = model.texts;
}

void SetTable(TeacherSpec& spec, const StepTable& table) {
  spec.nfe = table.nfe();
  spec.table_sha256 = TableHash(table);
  spec.times = ToVector(table.t);
  spec.network_times = ToVector(table.t_eval);
}

Tensor TimesOf(const TeacherSpec& spec, const NoiseSchedule& schedule) {
  return spec.times.empty() ? TimesOfFormat1(spec, schedule) : torch::tensor(spec.times, torch::kFloat64);
}

void CheckSameSpec(const std::string& folder, const TeacherSpec& have, const TeacherSpec& want) {
  const auto convolution = [](const TeacherSpec& s) {
    return s.convolution.empty() ? "direct" : s.convolution;
  };
  GAS_CHECK(convolution(have) == convolution(want), Errc::kBadFile, folder,
            ": holds data with convolution = ", Printable(convolution(have)), ", not ", convolution(want),
            "; choose another folder");
  const nlohmann::json old_values = have.ToJson(), new_values = want.ToJson();
  for (const auto& [key, value] : new_values.items()) {
    if (!IsCompared(key)) continue;
    const bool has = old_values.contains(key);
    GAS_CHECK(has && old_values[key] == value, Errc::kBadFile, folder, ": holds data with ", key, " = ",
              has ? Shown(old_values[key]) : "(none)", ", not ", Shown(value), "; choose another folder");
  }
}

}  // namespace gas
