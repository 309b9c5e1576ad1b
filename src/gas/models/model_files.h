// What a user names as a model, and what can be seen of it before it is opened.
#ifndef GAS_MODELS_MODEL_FILES_H_
#define GAS_MODELS_MODEL_FILES_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/io/tensor_file.h"
#include "gas/io/torch_file.h"

namespace gas {

// Before the command of a network in another process.
inline constexpr std::string_view kProcessPrefix = "exec:";

// What a folder of diffusers is known by.
inline constexpr const char* kModelIndex = "model_index.json";

class ModelFiles {
 public:
  // name: a path, of a file or of a folder with kModelIndex, or "exec:COMMAND". Throws Error(kBadFile) if the
  // file is missing, not regular, or begins like a safetensors file, a zip archive or a pickle and is
  // damaged, or calls what must not be called.
  explicit ModelFiles(const std::string& name);

  // What the user wrote.
  const std::string& name() const { return name_; }
  // The command of a network in another process; empty for files.
  const std::string& command() const { return command_; }
  const std::filesystem::path& path() const { return path_; }
  // The first bytes, at most kHeadBytes.
  const std::string& head() const { return head_; }
  static constexpr size_t kHeadBytes = 4096;
  static constexpr uint64_t kMaxJsonBytes = uint64_t{1} << 28;  // a larger JSON file is refused
  // The tensors of a file that holds nothing else: safetensors, the index of several such files, or PyTorch's
  // with a state dict. Null for others.
  const std::shared_ptr<const TensorFile>& tensors() const { return tensors_; }
  // The values of a file of PyTorch's. Null for others, TorchScript archives among them.
  const std::shared_ptr<const TorchFile>& torch() const { return torch_; }
  // A JSON file's content; nothing for others, and for text that is not JSON.
  const std::optional<nlohmann::json>& json() const { return json_; }
  // Whether it is a JSON object with this entry.
  bool HasJsonEntry(const char* key) const;
  // The names in a zip archive; empty for other files.
  const std::vector<std::string>& entries() const { return entries_; }
  // The value of a key of its metadata; "" if there is none.
  std::string Metadata(const std::string& key) const;
  // Of the file, and of the shards where it is their index. Reads all of them.
  std::string Sha256() const;

 private:
  void OpenTorchFile();

  std::string name_, command_, head_;
  std::filesystem::path path_;
  std::shared_ptr<const TensorFile> tensors_;
  std::vector<std::filesystem::path> shards_;  // of which the file is the index
  std::shared_ptr<const TorchFile> torch_;
  std::optional<nlohmann::json> json_;
  std::vector<std::string> entries_;
};

// The hash of a model that a file of weights does not say whole: it changes with the file, and with the
// configuration beside it, which makes another network of the same weights.
std::string Sha256With(const std::string& weights_sha256, std::string_view configuration);

}  // namespace gas

#endif  // GAS_MODELS_MODEL_FILES_H_
