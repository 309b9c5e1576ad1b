#include "gas/teacher/teacher_data.h"

#include <list>
#include <optional>
#include <set>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/models/guidance.h"
#include "gas/teacher/manifest.h"
#include "gas/teacher/shard.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using ShardTensors = std::map<std::string, Tensor>;

uint64_t BytesOf(const ShardTensors& tensors) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.nbytes();
  return bytes;
}

// The shards that were used last, as many as fit.
class ShardCache {
 public:
  explicit ShardCache(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  const ShardTensors* Find(size_t shard) {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->shard != shard) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return &entries_.front().tensors;
    }
    return nullptr;
  }

  // The newest stays even if it alone is too large.
  const ShardTensors& Add(size_t shard, ShardTensors tensors) {
    const uint64_t bytes = BytesOf(tensors);
    entries_.push_front({shard, bytes, std::move(tensors)});
    used_ += bytes;
    while (used_ > max_bytes_ && entries_.size() > 1) {
      used_ -= entries_.back().bytes;
      entries_.pop_back();
    }
    return entries_.front().tensors;
  }

 private:
  struct Entry {
    size_t shard;
    uint64_t bytes;
    ShardTensors tensors;
  };
  uint64_t max_bytes_, used_ = 0;
  std::list<Entry> entries_;  // most recently used first
};

// A scale of guidance for each sample, inside of the range.
void CheckScales(const std::string& name, const ShardTensors& tensors, const GuidanceRange& range,
                 int64_t rows) {
  const Condition condition = Condition::FromNamed(tensors);
  const auto found = condition.tensors.find(kGuidanceEntry);
  GAS_CHECK(found != condition.tensors.end(), Errc::kBadFile, name, ": scales of guidance are missing");
  const Tensor& scales = found->second;
  GAS_CHECK(scales.sizes() == at::IntArrayRef({rows}) && scales.is_floating_point(), Errc::kBadFile, name,
            ": scales of guidance are ", scales.scalar_type(), " of shape ", scales.sizes(), ", must be ",
            rows, " real numbers");
  const Tensor inside = scales.ge(range.first).logical_and(scales.le(range.second));
  GAS_CHECK(inside.all().item<bool>(), Errc::kBadFile, name, ": scales of guidance, must be in [",
            range.first, ", ", range.second, "]");
}

// A shard has the tensors that the spec says, of the shape that it says.
void CheckShapes(const std::string& name, const ShardTensors& tensors, const TeacherSpec& spec,
                 int64_t rows) {
  const auto check = [&](const char* key, std::vector<int64_t> shape) {
    const auto found = tensors.find(key);
    GAS_CHECK(found != tensors.end(), Errc::kBadFile, name, ": tensor ", key, " is missing");
    shape.insert(shape.begin(), rows);
    GAS_CHECK(found->second.sizes() == at::IntArrayRef(shape), Errc::kBadFile, name, ": tensor ", key,
              " has shape ", found->second.sizes(), ", must be ", at::IntArrayRef(shape));
  };
  check("noise", spec.shape);
  check("images", spec.shape);
  if (spec.classes > 0) check("labels", {});
  if (spec.states) {
    std::vector<int64_t> states = spec.shape;
    states.insert(states.begin(), spec.nfe);
    check("states", states);
    check("data_predictions", states);
  }
  if (spec.guidance_range) CheckScales(name, tensors, *spec.guidance_range, rows);
  for (const auto& [key, tensor] : tensors) {
    GAS_CHECK(tensor.dim() >= 1 && tensor.size(0) == rows, Errc::kBadFile, name, ": tensor ", key,
              " has shape ", tensor.sizes(), ", must have ", rows, " rows");
  }
}

// Where a sample is.
struct Place {
  Seed seed;
  size_t shard;
  int64_t row;
};

std::vector<Place> PlacesIn(const std::vector<Shard>& shards) {
  std::vector<Place> places;
  for (size_t s = 0; s < shards.size(); ++s) {
    for (size_t row = 0; row < shards[s].seeds.size(); ++row) {
      places.push_back({shards[s].seeds[row], s, static_cast<int64_t>(row)});
    }
  }
  return places;
}

std::string HashOf(const TeacherSpec& spec, const std::vector<Shard>& shards) {
  std::string text = spec.ToJson().dump();
  for (const Shard& shard : shards) text += "\n" + FormatSeeds(shard.seeds) + " " + shard.sha256;
  return Sha256(text);
}

}  // namespace

struct TeacherData::Impl {
  fs::path folder;
  TeacherSpec spec;
  std::vector<Shard> shards;
  std::vector<Place> places;  // by number of the sample
  std::string sha256;
  mutable ShardCache cache;
  mutable std::set<size_t> compared = {};  // shards whose hash was compared in this run

  const ShardTensors& Load(size_t shard) const {
    if (const ShardTensors* known = cache.Find(shard)) return *known;
    const bool first_time = compared.insert(shard).second;
    ShardTensors tensors =
        ReadShard(folder, shards[shard], first_time ? ShardCheck::kHash : ShardCheck::kShape);
    CheckShapes((folder / shards[shard].file).string(), tensors, spec,
                static_cast<int64_t>(shards[shard].seeds.size()));
    return cache.Add(shard, std::move(tensors));
  }
};

TeacherData::TeacherData(const fs::path& folder, uint64_t cache_bytes)
    : impl_(std::make_unique<Impl>(Impl{.folder = folder, .cache = ShardCache(cache_bytes)})) {
  GAS_CHECK(fs::exists(Manifest::PathIn(folder)), Errc::kBadFile, folder.string(),
            ": no manifest.json, so not a folder of teacher data (gas teacher makes one)");
  const Manifest manifest = Manifest::Read(folder);
  try {
    impl_->spec = TeacherSpec::FromJson(manifest.spec);
  } catch (const Error& e) {
    Fail(e.code(), Manifest::PathIn(folder).string(), ": ", e.what());
  }
  impl_->shards = ListShards(folder, manifest);
  GAS_CHECK(!impl_->shards.empty(), Errc::kBadFile, folder.string(), ": no samples");
  for (const Shard& shard : impl_->shards) {
    GAS_CHECK(fs::exists(folder / shard.file), Errc::kBadFile, (folder / shard.file).string(),
              ": is missing; gas teacher with the same options makes it again");
  }
  impl_->places = PlacesIn(impl_->shards);
  if (manifest.format > 1) {
    std::sort(impl_->places.begin(), impl_->places.end(),
              [](const Place& a, const Place& b) { return a.seed < b.seed; });
  }
  impl_->sha256 = HashOf(impl_->spec, impl_->shards);
}

TeacherData::~TeacherData() = default;
TeacherData::TeacherData(TeacherData&&) noexcept = default;

int64_t TeacherData::size() const { return static_cast<int64_t>(impl_->places.size()); }
const TeacherSpec& TeacherData::spec() const { return impl_->spec; }
Tensor TeacherData::times(const NoiseSchedule& schedule) const { return TimesOf(impl_->spec, schedule); }
const std::string& TeacherData::sha256() const { return impl_->sha256; }

std::vector<Seed> TeacherData::seeds() const {
  std::vector<Seed> seeds;
  for (const Place& place : impl_->places) seeds.push_back(place.seed);
  return seeds;
}

std::vector<int64_t> TeacherData::blocks() const {
  std::vector<int64_t> blocks;
  std::optional<size_t> shard;
  for (const Place& place : impl_->places) {
    if (place.shard != shard) blocks.push_back(0);
    shard = place.shard;
    ++blocks.back();
  }
  return blocks;
}

int64_t TeacherData::bytes_per_sample() const {
  const Shard& first = impl_->shards.front();
  const auto bytes = static_cast<int64_t>(fs::file_size(impl_->folder / first.file));
  return bytes / static_cast<int64_t>(first.seeds.size());
}

Samples TeacherData::Read(const std::vector<int64_t>& indices) const {
  std::map<std::string, std::vector<Tensor>> rows;
  for (const int64_t index : indices) {
    GAS_CHECK(index >= 0 && index < size(), Errc::kBadOption, "teacher sample ", index, ", must be in [0, ",
              size() - 1, "]");
    const Place& place = impl_->places[index];
    for (const auto& [name, tensor] : impl_->Load(place.shard)) rows[name].push_back(tensor[place.row]);
  }
  std::map<std::string, Tensor> stacked;
  for (const auto& [name, parts] : rows) {
    GAS_CHECK(parts.size() == indices.size(), Errc::kBadFile, impl_->folder.string(), ": tensor ", name,
              " is in some shards and not in others");
    stacked[name] = torch::stack(parts);
  }
  return {stacked["noise"], stacked["images"], Condition::FromNamed(stacked), stacked["states"],
          stacked["data_predictions"]};
}

}  // namespace gas
