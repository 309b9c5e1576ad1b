#include "gas/train/pretrain_data.h"

#include <nlohmann/json.hpp>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/image_folder.h"

namespace gas {
namespace {

// Augmentation works on images of twice the resolution, so that it leaves sharp edges.
constexpr int64_t kOversampling = 2;
constexpr const char* kAllClasses = "all";

ImageSet ReadSplit(const PretrainData& data, const std::string& split) {
  if (!IsImageFolder(data.folder)) return ReadImageSet(data.folder, split == "test" ? "t10k" : split);
  const bool augmented = data.augment.any() || !data.flip_classes.empty();
  return ReadImageFolder(data.folder, split, {.max_side = data.resolution * (augmented ? kOversampling : 1)});
}

std::vector<int64_t> FlipLabels(const PretrainData& data, const std::vector<std::string>& names,
                                int64_t classes) {
  std::vector<int64_t> labels;
  if (data.flip_classes == std::vector<std::string>{kAllClasses}) {
    for (int64_t i = 0; i < classes; ++i) labels.push_back(i);
    return labels;
  }
  for (const std::string& name : data.flip_classes) {
    const auto found = std::find(names.begin(), names.end(), name);
    GAS_CHECK(found != names.end(), Errc::kBadOption, "class to mirror ", name, ": unknown",
              names.empty() ? "" : ", did you mean " + NearestName(name, names) + "?");
    labels.push_back(found - names.begin());
  }
  return labels;
}

// "emoji" of "runs/emoji/".
std::string FolderName(const std::filesystem::path& folder) {
  return std::filesystem::absolute(folder / ".").parent_path().filename().string();
}

}  // namespace

TrainingImages ReadTrainingImages(const PretrainData& data) {
  TrainingImages t;
  t.set = ReadSplit(data, "train");
  const int64_t side = t.set.images.size(2);
  t.resolution = data.resolution == 0 ? side : data.resolution;
  GAS_CHECK(t.resolution <= side, Errc::kBadOption, "resolution = ", t.resolution, ", must be at most ", side,
            ", the side of the images in ", data.folder.string());
  t.classes = t.set.labels.max().item<int64_t>() + 1;
  const auto& names = data.class_names.empty() ? t.set.class_names : data.class_names;
  GAS_CHECK(names.empty() || static_cast<int64_t>(names.size()) == t.classes, Errc::kBadOption, names.size(),
            " class names, must be ", t.classes, ", the number of classes in ", data.folder.string());
  t.augment = data.augment;
  t.augment.flip = FlipLabels(data, names, t.classes);
  if (!names.empty()) t.metadata["class_names"] = nlohmann::json(names).dump();
  t.metadata["data"] = data.name.empty() ? FolderName(data.folder) : data.name;
  return t;
}

std::optional<ImageSet> ReadHeldOutImages(const PretrainData& data, const TrainingImages& training) {
  ImageSet test;
  try {
    test = ReadSplit(data, "test");
  } catch (const Error& e) {
    if (e.code() != Errc::kUnavailable) throw;
    return std::nullopt;
  }
  GAS_CHECK(test.class_names == training.set.class_names, Errc::kBadFile, data.folder.string(), ": test has ",
            test.class_names.size(), " classes, must have the ", training.set.class_names.size(),
            " of train");
  return test;
}

Tensor AtResolution(const ImageSet& set, int64_t side) { return AreaResize(ToSigned(set.images), side); }

Tensor Augmented(const TrainingImages& training, uint64_t seed) {
  return AugmentData(ToSigned(training.set.images), training.set.labels, training.augment,
                     training.resolution, seed);
}

}  // namespace gas
