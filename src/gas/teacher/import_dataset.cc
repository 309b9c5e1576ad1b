#include "gas/teacher/import_dataset.h"

#include <algorithm>
#include <map>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/io/file.h"
#include "gas/io/pickle_fields.h"
#include "gas/solver/registry.h"
#include "gas/teacher/manifest.h"
#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/shard.h"
#include "gas/teacher/shard_size.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNoise = "noise", kImages = "images", kLatents = "latents",
                           kCondition = "condition";
constexpr double kHalfRange = 127.5;  // bytes of an image to [-1, 1]

const PickleValue& Entry(const TorchFile& file, std::string_view key) {
  return *ValueOf(*file.root().If<PickleDict>(), key);
}

// The tensor of an entry; nothing for a list of None. Throws Error(kBadFile) for all else.
std::optional<Tensor> TensorOrNone(const TorchFile& file, std::string_view key) {
  const PickleValue& value = Entry(file, key);
  if (const std::optional<StridedTensor> tensor = file.TensorOf(value)) {
    const Tensor view = ContiguousView(std::string(key), *tensor, file.mapping());
    GAS_CHECK(!view.is_floating_point() || view.isfinite().all().item<bool>(), Errc::kBadFile, file.name(),
              ": ", key, " has entries that are not finite");
    return view;
  }
  const auto* list = value.If<PickleSequence>();
  GAS_CHECK(list != nullptr, Errc::kBadFile, file.name(), ": ", key, " is neither a tensor nor a list");
  for (const PickleRef item : list->items) {
    const std::optional<PickleScalar> scalar = file.ScalarOf(*item);
    GAS_CHECK(!scalar || !std::holds_alternative<std::string>(*scalar), Errc::kBadFile, file.name(), ": its ",
              key, " are texts, which teacher data cannot hold yet");
    GAS_CHECK(item->If<PickleNone>() != nullptr, Errc::kBadFile, file.name(), ": ", key,
              " is a list of other things than None");
  }
  return std::nullopt;
}

Tensor TensorIn(const TorchFile& file, std::string_view key) {
  std::optional<Tensor> tensor = TensorOrNone(file, key);
  GAS_CHECK(tensor && tensor->dim() >= 2 && tensor->size(0) >= 1, Errc::kBadFile, file.name(), ": ", key,
            " is not a tensor of samples [B,...]");
  GAS_CHECK(tensor->is_floating_point() || tensor->scalar_type() == torch::kUInt8, Errc::kBadFile,
            file.name(), ": ", key, " has element type ", c10::toString(tensor->scalar_type()),
            ", must be a float or uint8");
  return *tensor;
}

Tensor AsState(const Tensor& row) {
  const Tensor values = row.to(torch::kFloat32);
  return row.scalar_type() == torch::kUInt8 ? values / kHalfRange - 1 : values;
}

std::vector<fs::path> FilesOf(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".pt") files.push_back(entry.path());
  }
  GAS_CHECK(!files.empty(), Errc::kBadFile, path.string(), ": has no files *.pt");
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return a.filename().string() < b.filename().string();
  });
  return files;
}

// Rows of the data set by seed.
std::map<Seed, int64_t> RowsBySeed(const ForeignDataset& data,
                                   const std::optional<std::vector<Seed>>& seeds) {
  const std::vector<Seed> of_rows = seeds.value_or(SeedRange(0, data.size()));
  GAS_CHECK(static_cast<int64_t>(of_rows.size()) == data.size(), Errc::kBadOption,
            "teacher.seeds: ", of_rows.size(), " seeds for ", data.size(), " samples");
  std::map<Seed, int64_t> rows;
  for (int64_t row = 0; row < data.size(); ++row) {
    GAS_CHECK(rows.emplace(of_rows[row], row).second, Errc::kBadOption, "teacher.seeds: seed ", of_rows[row],
              " appears twice");
  }
  return rows;
}

void CheckFits(const ForeignDataset& data, const Model& model) {
  GAS_CHECK(data.shape() == model.shape, Errc::kBadOption, "the samples have shape ",
            at::IntArrayRef(data.shape()), ", model ", model.name, " has states ",
            at::IntArrayRef(model.shape));
  GAS_CHECK(data.MostLabel() < model.classes || !data.has_labels(), Errc::kBadOption,
            "the samples have classes up to ", data.MostLabel(), ", model ", model.name, " has ",
            model.classes);
}

TeacherSpec SpecFor(const ForeignDataset& data, const Model& model, const ImportDatasetOptions& options) {
  GAS_CHECK(options.solver.empty() == !options.nfe, Errc::kBadOption,
            "the teacher's solver and its number of evaluations must be told together, or neither");
  TeacherSpec spec{.solver = options.solver,
                   .grid = options.grid,
                   .nfe = options.nfe.value_or(0),
                   .imported = data.sha256()};
  SetModel(spec, model);
  if (!options.solver.empty()) {
    SetTable(spec, MakeSolverTable(options.solver, *model.schedule, options.grid, *options.nfe, model.t_eps));
  }
  return spec;
}

Samples Gather(const ForeignDataset& data, const std::vector<int64_t>& rows, bool labels) {
  std::vector<Tensor> noise, images;
  std::vector<int64_t> classes;
  for (const int64_t index : rows) {
    ForeignDataset::Row row = data.At(index);
    noise.push_back(row.noise);
    images.push_back(row.sample);
    classes.push_back(row.label);
  }
  Samples samples{.noise = torch::stack(noise), .images = torch::stack(images)};
  if (labels) samples.condition.labels = torch::tensor(classes, torch::kInt64);
  return samples;
}

}  // namespace

bool IsForeignDataset(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  if (dict == nullptr) return false;
  return std::ranges::all_of(std::array{kNoise, kImages, kLatents, kCondition},
                             [&](std::string_view key) { return ValueOf(*dict, key) != nullptr; });
}

ForeignDataset::Part ForeignDataset::Open(const fs::path& path) {
  Part part{.file = std::make_shared<const TorchFile>(path)};
  const TorchFile& file = *part.file;
  GAS_CHECK(IsForeignDataset(file), Errc::kBadFile, path.string(),
            ": not a data set of GAS, a dictionary with noise, images, latents and condition");
  part.noise = TensorIn(file, kNoise);
  const std::optional<Tensor> latents = TensorOrNone(file, kLatents);
  part.has_latents = latents.has_value();
  part.samples = TensorIn(file, part.has_latents ? kLatents : kImages);
  GAS_CHECK(part.samples.sizes() == part.noise.sizes(), Errc::kBadFile, path.string(), ": noise has shape ",
            part.noise.sizes(), ", ", part.has_latents ? kLatents : kImages, " ", part.samples.sizes(),
            ", must be the same");
  if (const std::optional<Tensor> labels = TensorOrNone(file, kCondition)) {
    GAS_CHECK(
        labels->scalar_type() == torch::kInt64 && labels->dim() == 1 && labels->size(0) == part.noise.size(0),
        Errc::kBadFile, path.string(), ": condition has shape ", labels->sizes(),
        ", must be int64, one class for each of ", part.noise.size(0), " samples");
    GAS_CHECK(labels->min().item<int64_t>() >= 0, Errc::kBadFile, path.string(), ": condition has class ",
              labels->min().item<int64_t>());
    part.labels = *labels;
  }
  return part;
}

ForeignDataset::ForeignDataset(const fs::path& path) {
  for (const fs::path& file : FilesOf(path)) {
    parts_.push_back(Open(file));
    const Part &first = parts_.front(), &part = parts_.back();
    GAS_CHECK(part.noise.sizes().slice(1) == first.noise.sizes().slice(1) &&
                  part.has_latents == first.has_latents && part.labels.defined() == first.labels.defined(),
              Errc::kBadFile, file.string(), ": other shapes, latents or classes than ", first.file->name());
    size_ += part.noise.size(0);
  }
}

std::vector<int64_t> ForeignDataset::shape() const { return parts_.front().noise.sizes().slice(1).vec(); }

std::string ForeignDataset::sha256() const {
  if (parts_.size() == 1) return Sha256OfFile(parts_[0].file->name());
  std::string hashes;
  for (const Part& part : parts_) hashes += Sha256OfFile(part.file->name()) + "\n";
  return Sha256(hashes);
}

ForeignDataset::Row ForeignDataset::At(int64_t index) const {
  for (const Part& part : parts_) {
    const int64_t rows = part.noise.size(0);
    if (index >= rows) {
      index -= rows;
      continue;
    }
    return {.noise = part.noise[index].to(torch::kFloat32),
            .sample = AsState(part.samples[index]),
            .label = part.labels.defined() ? part.labels[index].item<int64_t>() : -1};
  }
  GAS_ASSERT(false);
}

int64_t ForeignDataset::MostLabel() const {
  int64_t most = -1;
  for (const Part& part : parts_) {
    if (part.labels.defined()) most = std::max(most, part.labels.max().item<int64_t>());
  }
  return most;
}

int64_t ImportDataset(const ForeignDataset& data, const Model& model, const fs::path& folder,
                      const ImportDatasetOptions& options) {
  CheckFits(data, model);
  const std::map<Seed, int64_t> rows = RowsBySeed(data, options.seeds);
  const Manifest manifest{.spec = SpecFor(data, model, options).ToJson(), .shard_size = kMostInAShard};
  MakeDirectory(folder);
  GAS_CHECK(!fs::exists(Manifest::PathIn(folder)) && ReadSidecars(folder).empty(), Errc::kBadFile,
            folder.string(), ": has teacher data, or what an interrupted import left; choose another folder");
  for (auto next = rows.begin(); next != rows.end();) {
    CheckInterrupt();
    const Seed last = RangeOf(next->first, kMostInAShard).last;
    std::vector<Seed> seeds;
    std::vector<int64_t> indices;
    for (; next != rows.end() && next->first <= last; ++next) {
      seeds.push_back(next->first);
      indices.push_back(next->second);
    }
    WriteShard(folder, seeds, Gather(data, indices, model.classes > 0));
  }
  manifest.WriteIfAbsent(folder);
  return data.size();
}

}  // namespace gas
