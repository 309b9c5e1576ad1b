#include "gas/io/image_folder.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/progress.h"
#include "gas/io/png.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

bool IsHidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool IsPng(const fs::directory_entry& entry) {
  std::string suffix = entry.path().extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return suffix == ".png" && entry.is_regular_file() && !IsHidden(entry.path());
}

// What `wanted` says yes to in a folder, by name.
std::vector<fs::path> Entries(const fs::path& folder, bool (*wanted)(const fs::directory_entry&)) {
  std::vector<fs::path> found;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (wanted(entry)) found.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& e) {
    Fail(Errc::kUnavailable, folder.string(), ": ", e.code().message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool IsVisibleFolder(const fs::directory_entry& entry) {
  return entry.is_directory() && !IsHidden(entry.path());
}

std::vector<fs::path> Classes(const fs::path& folder) { return Entries(folder, IsVisibleFolder); }

fs::path FolderOfSplit(const fs::path& folder, const std::string& split) {
  if (fs::is_directory(folder / split)) return folder / split;
  GAS_CHECK(split == "train" && !fs::is_directory(folder / "test"), Errc::kUnavailable, folder.string(),
            ": no folder ", split);
  return folder;
}

// The files of all classes, with the classes' names and a label for each file.
std::vector<fs::path> FilesOfClasses(const fs::path& folder, std::vector<std::string>& names,
                                     std::vector<int64_t>& labels) {
  std::vector<fs::path> files;
  for (const fs::path& folder_of_class : Classes(folder)) {
    const std::vector<fs::path> images = Entries(folder_of_class, IsPng);
    GAS_CHECK(!images.empty(), Errc::kBadFile, folder_of_class.string(), ": a class without a PNG file");
    files.insert(files.end(), images.begin(), images.end());
    labels.insert(labels.end(), images.size(), static_cast<int64_t>(names.size()));
    names.push_back(folder_of_class.filename().string());
  }
  GAS_CHECK(!files.empty(), Errc::kUnavailable, folder.string(),
            ": no folder of PNG files, one for each class");
  return files;
}

Tensor MiddleSquare(const Tensor& image) {
  const int64_t height = image.size(1), width = image.size(2), side = std::min(height, width);
  return image.narrow(1, (height - side) / 2, side).narrow(2, (width - side) / 2, side);
}

// [C,H,W] uint8
Tensor ReadOne(const fs::path& path, int64_t max_side) {
  Tensor image = ReadPng(path, Alpha::kOnWhite);
  if (max_side == 0) return image;
  const Tensor square = MiddleSquare(image);
  if (square.size(1) <= max_side) return square.contiguous();
  return AreaResize(square.to(torch::kFloat32), max_side).round().to(torch::kUInt8);
}

void CheckOneSize(const Tensor& image, const Tensor& first, const fs::path& path,
                  const fs::path& first_path) {
  const int64_t height = image.size(1), width = image.size(2);
  GAS_CHECK(height == width, Errc::kBadFile, path.string(), ": ", width, " x ", height,
            " pixels, must be square, or be cut by a resolution");
  GAS_CHECK(height == first.size(1), Errc::kBadFile, path.string(), ": ", height, " pixels on a side, but ",
            first_path.string(), " has ", first.size(1), "; all must have one size, or be reduced to one");
}

void CheckTotal(const fs::path& folder, size_t images, const Tensor& first, uint64_t max_bytes) {
  // Three channels, since a later image may have them.
  const uint64_t bytes =
      static_cast<uint64_t>(images) * 3 * static_cast<uint64_t>(first.size(1) * first.size(2));
  GAS_CHECK(bytes <= max_bytes, Errc::kBadFile, folder.string(), ": ", images, " images of ", first.size(2),
            " x ", first.size(1), " pixels need ", bytes, " bytes, at most ", max_bytes);
}

// Stacks images [C,S,S], grey ones as RGB where others have colours.
Tensor Stacked(std::vector<Tensor> images) {
  const auto is_rgb = [](const Tensor& image) { return image.size(0) == 3; };
  const int64_t channels = std::any_of(images.begin(), images.end(), is_rgb) ? 3 : 1;
  for (Tensor& image : images) image = image.expand({channels, -1, -1});
  return torch::stack(images);
}

// [N,C,S,S] uint8
Tensor ReadFiles(const fs::path& folder, const std::vector<fs::path>& files,
                 const ImageFolderOptions& options) {
  std::vector<Tensor> images;
  Progress progress("read", "images", static_cast<int64_t>(files.size()));
  for (const fs::path& path : files) {
    CheckInterrupt();
    images.push_back(ReadOne(path, options.max_side));
    CheckOneSize(images.back(), images.front(), path, files.front());
    if (images.size() == 1) CheckTotal(folder, files.size(), images.front(), options.max_bytes);
    progress.Update(static_cast<int64_t>(images.size()));
  }
  return Stacked(std::move(images));
}

// [to,from]: row i holds which share of pixel i each of the `from` pixels covers.
Tensor Coverage(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const Tensor begin = torch::arange(to, torch::kFloat64).unsqueeze(1) * scale;
  const Tensor pixel = torch::arange(from, torch::kFloat64).unsqueeze(0);
  return (torch::minimum(begin + scale, pixel + 1) - torch::maximum(begin, pixel)).clamp_min(0) / scale;
}

}  // namespace

bool IsImageFolder(const fs::path& folder) {
  const fs::path train = fs::is_directory(folder / "train") ? folder / "train" : folder;
  if (!fs::is_directory(train)) return false;
  const std::vector<fs::path> classes = Classes(train);
  return std::any_of(classes.begin(), classes.end(),
                     [](const fs::path& c) { return !Entries(c, IsPng).empty(); });
}

ImageSet ReadImageFolder(const fs::path& folder, const std::string& split,
                         const ImageFolderOptions& options) {
  const fs::path root = FolderOfSplit(folder, split);
  ImageSet set;
  std::vector<int64_t> labels;
  const std::vector<fs::path> files = FilesOfClasses(root, set.class_names, labels);
  set.images = ReadFiles(root, files, options);
  set.labels = torch::tensor(labels, torch::kInt64);
  return set;
}

Tensor ReadImages(const fs::path& folder, const ImageFolderOptions& options) {
  const std::vector<fs::path> files = Entries(folder, IsPng);
  GAS_CHECK(!files.empty(), Errc::kUnavailable, folder.string(), ": no PNG file");
  return ReadFiles(folder, files, options);
}

Tensor AreaResize(const Tensor& images, int64_t side) {
  if (images.size(-2) == side && images.size(-1) == side) return images;
  const Tensor rows = Coverage(images.size(-2), side).to(images.device(), images.scalar_type());
  const Tensor columns = Coverage(images.size(-1), side).to(images.device(), images.scalar_type());
  return rows.matmul(images).matmul(columns.t());
}

}  // namespace gas
