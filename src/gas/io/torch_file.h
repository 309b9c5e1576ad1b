// A file of PyTorch's users (.pt, .pth, .ckpt, .pkl): a tree of values with tensors among them.
#ifndef GAS_IO_TORCH_FILE_H_
#define GAS_IO_TORCH_FILE_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "gas/io/mapped_file.h"
#include "gas/io/numpy_pickle.h"
#include "gas/io/pickle.h"
#include "gas/io/strided_tensor.h"
#include "gas/io/torch_formats.h"

namespace gas {

// Holds the tree; the tensors stay in the file, which is mapped, not read. Nothing in the file is executed,
// and of Python's source text that some files have nothing is looked at. Not to be copied: values point into
// it.
class TorchFile {
 public:
  // Throws Error(kBadFile) for what is no such file, is damaged, or calls anything but what makes tensors,
  // numpy's arrays and plain data. Objects of unknown classes are refused, or kept without their meaning.
  explicit TorchFile(const std::filesystem::path& path,
                     UnknownClasses unknown_classes = UnknownClasses::kRefuse);
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  const std::string& name() const { return name_; }  // the path, for messages
  const PickleValue& root() const { return *content_.pickle.root; }

  // What lies behind these steps from the root: a key of a dictionary (text or integer), an index of a list
  // or tuple, an attribute of an object. Null if there is nothing.
  PickleRef Find(std::span<const std::string> path) const;

  // The attributes of an object, by EDM's persistence or of an unknown class; null for other values.
  const PickleDict* AttributesOf(const PickleValue& value) const;
  // The name of an object's class: without its module by EDM's persistence, else with it. "" for other
  // values.
  std::string ClassOf(const PickleValue& value) const;

  // Nothing if the value is no tensor, parameter or numpy array. Throws Error(kBadFile) if it does not lie
  // inside its storage, or the storage is missing or of an element type that is not read.
  std::optional<StridedTensor> TensorOf(const PickleValue& value) const;
  // Nothing if the value is no bool, number or text, of Python or of numpy.
  std::optional<PickleScalar> ScalarOf(const PickleValue& value) const;

  const std::shared_ptr<const MappedFile>& mapping() const { return file_; }

 private:
  void ReadNestedStorages();
  TorchStorage StorageOf(const PickleValue& value) const;
  const PickleDict& RecordOf(const PickleObject& object) const;

  std::string name_;
  std::shared_ptr<const MappedFile> file_;
  TorchContent content_;
  // By the bytes that they were read from: storages that a plain pickle holds as streams of torch.save.
  std::unordered_map<PickleRef, TorchStorage> nested_;
};

}  // namespace gas

#endif  // GAS_IO_TORCH_FILE_H_
