#include "gas/io/yaml.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/models/compvis/config.h"

namespace gas::compvis {
namespace {

namespace fs = std::filesystem;

// Files of a folder whose name ends so, sorted; none if there is no such folder.
std::vector<fs::path> FilesEndingIn(const fs::path& folder, std::string_view ending) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().ends_with(ending)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path FolderOf(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

std::vector<std::string> NamesBeside(const fs::path& checkpoint) {
  const std::string stem = checkpoint.stem().string();
  return {stem + ".yaml", stem + "_model.yaml", "config.yaml"};
}

std::optional<fs::path> FindBeside(const fs::path& checkpoint) {
  const fs::path folder = FolderOf(checkpoint);
  for (const std::string& name : NamesBeside(checkpoint)) {
    if (fs::exists(folder / name)) return folder / name;
  }
  for (const fs::path& place : {folder, folder / ".." / "configs"}) {
    const std::vector<fs::path> projects = FilesEndingIn(place, "-project.yaml");
    GAS_CHECK(projects.size() <= 1, Errc::kBadFile, checkpoint.string(), ": ", projects.size(),
              " files *-project.yaml in ", place.string(), ", name the model's with --model-config FILE");
    if (projects.size() == 1) return projects[0];
  }
  return std::nullopt;
}

// The file that this one names at model.path; nothing if it names none.
std::optional<fs::path> NamedIn(const fs::path& path) {
  const nlohmann::json yaml = ReadYaml(path);
  if (!yaml.is_object() || !yaml.contains("model") || !yaml["model"].is_object()) return std::nullopt;
  const nlohmann::json& model = yaml["model"];
  if (!model.contains("path") || !model["path"].is_string()) return std::nullopt;
  return FolderOf(path) / model["path"].get<std::string>();
}

// What a file names in its place, or itself.
fs::path Followed(const fs::path& path) {
  const std::optional<fs::path> named = NamedIn(path);
  if (!named) return path;
  GAS_CHECK(fs::is_regular_file(*named), Errc::kBadFile, path.string(), ": model.path names ",
            named->string(), ", which is not there, name the network's file with --model-config FILE");
  return *named;
}

}  // namespace

std::optional<fs::path> FindYamlIfAny(const fs::path& checkpoint, const std::string& asked) {
  const std::optional<fs::path> path = asked.empty() ? FindBeside(checkpoint) : fs::path(asked);
  return path ? Followed(*path) : path;
}

fs::path FindYaml(const fs::path& checkpoint, const std::string& asked) {
  if (const std::optional<fs::path> found = FindYamlIfAny(checkpoint, asked)) return *found;
  const std::vector<std::string> names = NamesBeside(checkpoint);
  Fail(Errc::kBadFile, checkpoint.string(), ": the YAML file of its network is missing, beside it neither ",
       names[0], " nor ", names[1], ", ", names[2], " or *-project.yaml, name it with --model-config FILE");
}

}  // namespace gas::compvis
