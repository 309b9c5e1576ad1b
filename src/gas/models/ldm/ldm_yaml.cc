#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/yaml.h"
#include "gas/models/ldm/ldm_config.h"

namespace gas::ldm {
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

fs::path FindBeside(const fs::path& checkpoint) {
  const fs::path folder = FolderOf(checkpoint);
  const std::string stem = checkpoint.stem().string();
  const std::string names[] = {stem + ".yaml", stem + "_model.yaml", "config.yaml"};
  for (const std::string& name : names) {
    if (fs::exists(folder / name)) return folder / name;
  }
  for (const fs::path& place : {folder, folder / ".." / "configs"}) {
    const std::vector<fs::path> projects = FilesEndingIn(place, "-project.yaml");
    GAS_CHECK(projects.size() <= 1, Errc::kBadFile, checkpoint.string(), ": ", projects.size(),
              " files *-project.yaml in ", place.string(), ", name the model's with --model-config FILE");
    if (projects.size() == 1) return projects[0];
  }
  Fail(Errc::kBadFile, checkpoint.string(), ": the YAML file of its network is missing, beside it neither ",
       names[0], " nor ", names[1], ", ", names[2], " or *-project.yaml, name it with --model-config FILE");
}

// The file that this one names at model.path; nothing if it names none.
std::optional<fs::path> NamedIn(const fs::path& path) {
  const nlohmann::json yaml = ReadYaml(path);
  if (!yaml.is_object() || !yaml.contains("model") || !yaml["model"].is_object()) return std::nullopt;
  const nlohmann::json& model = yaml["model"];
  if (!model.contains("path") || !model["path"].is_string()) return std::nullopt;
  return FolderOf(path) / model["path"].get<std::string>();
}

}  // namespace

fs::path FindLdmYaml(const fs::path& checkpoint, const std::string& asked) {
  const fs::path path = asked.empty() ? FindBeside(checkpoint) : fs::path(asked);
  const std::optional<fs::path> named = NamedIn(path);
  if (!named) return path;
  GAS_CHECK(fs::is_regular_file(*named), Errc::kBadFile, path.string(), ": model.path names ",
            named->string(), ", which is not there, name the network's file with --model-config FILE");
  return *named;
}

}  // namespace gas::ldm
