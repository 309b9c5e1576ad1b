#include "gas/teacher/teacher.h"

#include <list>
#include <set>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/solver/sampler.h"
#include "gas/teacher/manifest.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

void CheckSameSpec(const fs::path& folder, const nlohmann::json& have, const nlohmann::json& want) {
  for (const auto& [key, value] : want.items()) {
    GAS_CHECK(have.contains(key) && have[key] == value, Errc::kBadFile, folder.string(), ": holds data with ",
              key, " = ", have.contains(key) ? have[key].dump() : "(none)", ", not ", value.dump(),
              "; choose another folder");
  }
}

Shard WriteShard(const fs::path& folder, size_t number, const std::vector<Seed>& seeds,
                 const Samples& samples) {
  std::map<std::string, Tensor> tensors = {{"noise", samples.noise}, {"images", samples.images}};
  if (samples.labels.defined()) tensors["labels"] = samples.labels;
  if (samples.states.defined()) {
    tensors["states"] = samples.states;
    tensors["data_predictions"] = samples.data_predictions;
  }
  const std::string file = fmt::format("shard-{:05}.safetensors", number);
  WriteSafetensors(folder / file, tensors, {{"seeds", FormatSeeds(seeds)}});
  return {file, Sha256OfFile(folder / file), seeds};
}

Tensor Joined(const std::vector<Tensor>& parts) { return parts.empty() ? Tensor() : torch::cat(parts); }

}  // namespace

nlohmann::json TeacherSpec::ToJson() const {
  return {{"model", model},       {"model_sha256", model_sha256},
          {"solver", solver},     {"grid", grid},
          {"nfe", nfe},           {"t_eps", t_eps},
          {"guidance", guidance}, {"states", states},
          {"shape", shape},       {"classes", classes}};
}

TeacherSpec TeacherSpec::FromJson(const nlohmann::json& json) {
  TeacherSpec spec;
  json.at("model").get_to(spec.model);
  json.at("model_sha256").get_to(spec.model_sha256);
  json.at("solver").get_to(spec.solver);
  json.at("grid").get_to(spec.grid);
  json.at("nfe").get_to(spec.nfe);
  json.at("t_eps").get_to(spec.t_eps);
  json.at("guidance").get_to(spec.guidance);
  json.at("states").get_to(spec.states);
  json.at("shape").get_to(spec.shape);
  json.at("classes").get_to(spec.classes);
  return spec;
}

Samples RunTeacher(const Model& model, const StepTable& table, const std::vector<Seed>& seeds, bool states,
                   int64_t batch, const std::function<void(int64_t done)>& progress) {
  torch::NoGradGuard no_grad;
  Samples all;
  all.noise = NoiseFor(seeds, model.shape);
  if (model.classes > 0) all.labels = LabelsFor(seeds, model.classes);
  std::vector<Tensor> images, kept_states, kept_predictions;
  const int64_t count = static_cast<int64_t>(seeds.size());
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(count, begin + batch);
    Condition condition;
    if (all.labels.defined()) condition.labels = all.labels.slice(0, begin, end).to(model.device);
    std::vector<Tensor> path, predictions;
    SampleOptions options;
    if (states) {
      options.on_state = [&](int64_t n, const Tensor& x) {
        if (n < table.nfe()) path.push_back(x.cpu());
      };
      options.on_data_prediction = [&](int64_t, const Tensor& m) { predictions.push_back(m.cpu()); };
    }
    const Tensor noise = all.noise.slice(0, begin, end).to(model.device);
    images.push_back(RunTable(table, *model.denoiser, noise, condition, options).cpu().contiguous());
    if (states) {
      kept_states.push_back(torch::stack(path, 1));
      kept_predictions.push_back(torch::stack(predictions, 1));
    }
    if (progress) progress(end);
  }
  all.images = Joined(images);
  all.states = Joined(kept_states);
  all.data_predictions = Joined(kept_predictions);
  GAS_CHECK(all.images.isfinite().all().item<bool>(), Errc::kNumeric, "sampling with ", table.method,
            ", nfe = ", table.nfe(), ": samples have entries that are not finite");
  return all;
}

int64_t WriteTeacherData(const fs::path& folder, const TeacherSpec& spec, const Model& model,
                         const StepTable& table, const std::vector<Seed>& seeds,
                         const TeacherOptions& options) {
  MakeDirectory(folder);
  Manifest manifest;
  manifest.spec = spec.ToJson();
  if (fs::exists(Manifest::PathIn(folder))) {
    manifest = Manifest::Read(folder);
    CheckSameSpec(folder, manifest.spec, spec.ToJson());
  }
  std::set<Seed> have;
  for (const Shard& shard : manifest.shards) have.insert(shard.seeds.begin(), shard.seeds.end());
  std::vector<Seed> missing;
  for (const Seed seed : seeds) {
    if (have.insert(seed).second) missing.push_back(seed);
  }
  const int64_t total = static_cast<int64_t>(missing.size());
  for (int64_t begin = 0; begin < total; begin += options.shard_size) {
    const int64_t end = std::min(total, begin + options.shard_size);
    const std::vector<Seed> part(missing.begin() + begin, missing.begin() + end);
    const Samples samples = RunTeacher(model, table, part, spec.states, options.batch, [&](int64_t done) {
      if (options.progress) options.progress(begin + done, total);
    });
    // The manifest is written after the shard: what it names is always whole.
    manifest.shards.push_back(WriteShard(folder, manifest.shards.size(), part, samples));
    manifest.Write(folder);
  }
  return total;
}

struct TeacherData::Impl {
  fs::path folder;
  Manifest manifest;
  TeacherSpec spec;
  uint64_t cache_bytes = 0;
  std::vector<std::pair<size_t, int64_t>> where;  // sample -> (shard, row)

  struct Cached {
    size_t shard;
    std::map<std::string, Tensor> tensors;
    uint64_t bytes;
  };
  mutable std::list<Cached> cache;  // most recently used first

  const std::map<std::string, Tensor>& Load(size_t shard) const {
    for (auto it = cache.begin(); it != cache.end(); ++it) {
      if (it->shard != shard) continue;
      cache.splice(cache.begin(), cache, it);
      return cache.front().tensors;
    }
    const Shard& entry = manifest.shards[shard];
    const fs::path path = folder / entry.file;
    const Bytes bytes = ReadFile(path);
    GAS_CHECK(Sha256(bytes) == entry.sha256, Errc::kBadFile, path.string(), ": SHA-256 ", Sha256(bytes),
              ", the manifest says ", entry.sha256);
    Safetensors file = ParseSafetensors(path.string(), bytes);
    for (const char* name : {"noise", "images"}) {
      GAS_CHECK(file.at(name).dim() == 4 && file.at(name).size(0) == static_cast<int64_t>(entry.seeds.size()),
                Errc::kBadFile, path.string(), ": tensor ", name, " has shape ", file.at(name).sizes(),
                ", must be [", entry.seeds.size(), ", C, H, W]");
    }
    cache.push_front({shard, std::move(file.tensors), bytes.size()});
    uint64_t used = 0;
    for (auto it = cache.begin(); it != cache.end();) {
      used += it->bytes;
      it = used > cache_bytes && it != cache.begin() ? cache.erase(it) : std::next(it);
    }
    return cache.front().tensors;
  }
};

TeacherData::TeacherData(const fs::path& folder, uint64_t cache_bytes) : impl_(std::make_unique<Impl>()) {
  GAS_CHECK(fs::exists(Manifest::PathIn(folder)), Errc::kBadFile, folder.string(),
            ": no manifest.json, so not a folder of teacher data (gas teacher makes one)");
  impl_->folder = folder;
  impl_->manifest = Manifest::Read(folder);
  try {
    impl_->spec = TeacherSpec::FromJson(impl_->manifest.spec);
  } catch (const nlohmann::json::exception& e) {
    Fail(Errc::kBadFile, Manifest::PathIn(folder).string(), ": spec: ", e.what());
  }
  impl_->cache_bytes = cache_bytes;
  for (size_t s = 0; s < impl_->manifest.shards.size(); ++s) {
    for (size_t row = 0; row < impl_->manifest.shards[s].seeds.size(); ++row) {
      impl_->where.emplace_back(s, static_cast<int64_t>(row));
    }
  }
  GAS_CHECK(!impl_->where.empty(), Errc::kBadFile, folder.string(), ": no samples");
}

TeacherData::~TeacherData() = default;
TeacherData::TeacherData(TeacherData&&) noexcept = default;

int64_t TeacherData::size() const { return static_cast<int64_t>(impl_->where.size()); }
const TeacherSpec& TeacherData::spec() const { return impl_->spec; }

std::vector<Seed> TeacherData::seeds() const {
  std::vector<Seed> seeds;
  for (const Shard& shard : impl_->manifest.shards)
    seeds.insert(seeds.end(), shard.seeds.begin(), shard.seeds.end());
  return seeds;
}

Samples TeacherData::Read(const std::vector<int64_t>& indices) const {
  std::map<std::string, std::vector<Tensor>> rows;
  for (const int64_t index : indices) {
    GAS_CHECK(index >= 0 && index < size(), Errc::kBadOption, "teacher sample ", index, ", must be in [0, ",
              size() - 1, "]");
    const auto [shard, row] = impl_->where[index];
    for (const auto& [name, tensor] : impl_->Load(shard)) rows[name].push_back(tensor[row]);
  }
  const auto stacked = [&](const char* name) {
    const auto found = rows.find(name);
    return found == rows.end() || found->second.size() != indices.size() ? Tensor()
                                                                         : torch::stack(found->second);
  };
  return {stacked("noise"), stacked("images"), stacked("labels"), stacked("states"),
          stacked("data_predictions")};
}

}  // namespace gas
