#include "gas/models/diffusers/folder.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas::diffusers {
namespace {

namespace fs = std::filesystem;

// Python writes numbers that are not finite by names that JSON does not have: null takes their places.
std::string WithoutInfinities(std::string_view text) {
  constexpr std::string_view kNames[] = {"-Infinity", "Infinity", "NaN"};
  std::string plain;
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    const auto name = std::ranges::find_if(
        kNames, [&](std::string_view candidate) { return text.substr(i).starts_with(candidate); });
    if (!quoted && name != std::end(kNames)) {
      plain += "null";
      i += name->size();
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == '\\' && i + 1 < text.size()) plain += text[i++];
    plain += text[i++];
  }
  return plain;
}

}  // namespace

std::string PipelineOf(const ModelFiles& files) {
  if (!files.HasJsonEntry("_class_name")) return "";
  const nlohmann::json& name = (*files.json())["_class_name"];
  return name.is_string() ? name.get<std::string>() : "";
}

std::unique_ptr<ModelFiles> WeightsIn(const fs::path& folder, const std::string& stem,
                                      const std::string& pickled) {
  std::vector<std::string> names;
  for (const char* variant : {"", ".fp16", ".bf16"}) {
    names.push_back(stem + variant + ".safetensors");
    // Of several files the index.
    names.push_back(fmt::format("{}.safetensors.index{}.json", stem, variant));
  }
  names.push_back(pickled);
  for (const std::string& name : names) {
    if (!fs::exists(folder / name)) continue;
    auto files = std::make_unique<ModelFiles>((folder / name).string());
    GAS_CHECK(files->tensors() != nullptr, Errc::kBadFile, (folder / name).string(), ": no file of tensors");
    return files;
  }
  Fail(Errc::kBadFile, folder.string(), ": no weights there, neither ", names.front(), " nor ", names[1],
       " or ", names.back());
}

nlohmann::json ReadConfiguration(const fs::path& path) {
  const Bytes bytes = ReadFile(path, ModelFiles::kMaxJsonBytes);
  return ParseJson(path.string(), WithoutInfinities({bytes.data(), bytes.size()}));
}

}  // namespace gas::diffusers
