// PyTorch's storages: the runs of numbers that its tensors are views of, and their names in pickles.
#ifndef GAS_IO_TORCH_STORAGE_H_
#define GAS_IO_TORCH_STORAGE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gas/core/torch.h"
#include "gas/io/pickle.h"

namespace gas {

struct TorchStorage {
  torch::ScalarType dtype = torch::kFloat32;
  std::span<const char> bytes;
};

// The content of the storages of a file, by their keys.
using TorchStorageBytes = std::map<std::string, std::span<const char>, std::less<>>;

// What a pickle calls a storage by: ("storage", type, key, location, number of elements[, view]). The
// location, such as cuda:0, says nothing about the file and is not read.
struct TorchStorageId {
  torch::ScalarType dtype = torch::kFloat32;
  std::string key;
  uint64_t bytes = 0;  // of the whole storage
  // The part that is meant, of old files that store several storages as one.
  uint64_t begin = 0, size = 0;  // bytes
};

// Throws Error(kBadFile) for a persistent id of another kind, a storage of another element type than
// (b)float16, float32, float64, int8, int16, int32, int64, uint8 and bool, and sizes that do not fit.
TorchStorageId ReadTorchStorageId(std::string_view name, const PicklePersistentId& id);

// Throws Error(kBadFile) if the storage is not among `storages`, or has fewer bytes there.
TorchStorage FindTorchStorage(std::string_view name, const PicklePersistentId& id,
                              const TorchStorageBytes& storages);

}  // namespace gas

#endif  // GAS_IO_TORCH_STORAGE_H_
