// Checkpoints of training runs: groups of named tensors and text in one safetensors file.
#ifndef GAS_IO_CHECKPOINT_H_
#define GAS_IO_CHECKPOINT_H_

#include <filesystem>
#include <map>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// Format 1 had neither its number nor a checksum.
inline constexpr int64_t kCheckpointFormat = 2;

class Checkpoint {
 public:
  Checkpoint() = default;
  // Throws Error(kBadFile), naming the file, for another format, contents that do not match their checksum,
  // and floating-point tensors with entries that are not finite.
  explicit Checkpoint(const std::filesystem::path& path);
  // Atomic (io/file.h), with format and checksum.
  void Write(const std::filesystem::path& path) const;

  void Put(const std::string& group, const std::map<std::string, Tensor>& tensors);
  std::map<std::string, Tensor> Group(const std::string& group) const;  // empty if there is none

  void PutText(const std::string& key, const std::string& text) { text_[key] = text; }
  // Throws Error(kBadFile) if the key is missing, or is not a whole number.
  const std::string& Text(const std::string& key) const;
  int64_t Int(const std::string& key) const;
  bool Has(const std::string& key) const { return text_.contains(key); }
  const std::string& name() const { return name_; }  // the file it came from, for messages

 private:
  std::string Checksum() const;

  std::string name_ = "checkpoint";
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> text_;
};

}  // namespace gas

#endif  // GAS_IO_CHECKPOINT_H_
