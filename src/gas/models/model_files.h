// What a user names as a model, and what can be seen of it before it is opened.
#ifndef GAS_MODELS_MODEL_FILES_H_
#define GAS_MODELS_MODEL_FILES_H_

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "gas/io/tensor_file.h"

namespace gas {

// Before the command of a network in another process.
inline constexpr std::string_view kProcessPrefix = "exec:";

class ModelFiles {
 public:
  // name: a path, or "exec:COMMAND". Throws Error(kBadFile) if the file is missing, not regular, or begins
  // like a safetensors file and is none.
  explicit ModelFiles(const std::string& name);

  // What the user wrote.
  const std::string& name() const { return name_; }
  // The command of a network in another process; empty for files.
  const std::string& command() const { return command_; }
  const std::filesystem::path& path() const { return path_; }
  // The first bytes, at most kHeadBytes.
  const std::string& head() const { return head_; }
  static constexpr size_t kHeadBytes = 4096;
  // The tensors of a file that holds some by name; null for others.
  const TensorFile* tensors() const { return tensors_.get(); }
  // The value of a key of its metadata; "" if there is none.
  std::string Metadata(const std::string& key) const;

 private:
  std::string name_, command_, head_;
  std::filesystem::path path_;
  std::shared_ptr<const TensorFile> tensors_;
};

}  // namespace gas

#endif  // GAS_MODELS_MODEL_FILES_H_
