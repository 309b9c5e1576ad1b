// The header of a safetensors file, checked: what the readers of whole files and of mapped ones share.
#ifndef GAS_IO_SAFETENSORS_HEADER_H_
#define GAS_IO_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

// The limit of the reference implementation.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;
inline constexpr const char* kSafetensorsMetadataKey = "__metadata__";

struct SafetensorsEntry {
  std::string name;
  torch::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;  // bytes within the data
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  uint64_t data_begin = 0;                // of the data within the file
};

// Fills `to` with the bytes of the file from `offset` on; the caller has checked that they exist.
using ReadBytesAt = std::function<void(uint64_t offset, std::span<char> to)>;

// `file` names it in messages, `size` is its whole size. Throws what ReadSafetensors throws.
SafetensorsHeader ReadSafetensorsHeader(std::string_view file, uint64_t size, const ReadBytesAt& read);

// Whether a file that begins so may be one: a plausible length, and the '{' of the header.
bool LooksLikeSafetensors(std::string_view head);

// The format's name of a dtype, or null for one that it does not have.
const char* SafetensorsDtypeName(torch::ScalarType type);

}  // namespace gas

#endif  // GAS_IO_SAFETENSORS_HEADER_H_
