#include "gas/io/safetensors.h"

#include <fstream>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/layout.h"
#include "gas/io/safetensors_header.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

Safetensors Load(std::string_view file, uint64_t size, const ReadBytesAt& read) {
  SafetensorsHeader header = ReadSafetensorsHeader(file, size, read);
  Safetensors result;
  result.name = file;
  result.metadata = std::move(header.metadata);
  for (const SafetensorsEntry& e : header.entries) {
    Tensor tensor = torch::empty(e.shape, e.type);
    if (e.end > e.begin) {
      read(header.data_begin + e.begin, {static_cast<char*>(tensor.data_ptr()), e.end - e.begin});
    }
    CheckBooleans(tensor, std::string(file) + ": tensor '" + e.name + "'");
    result.tensors.emplace(e.name, std::move(tensor));
  }
  return result;
}

struct Item {
  std::string name;
  const char* dtype;
  Tensor tensor;
};

// Larger elements first: then every tensor begins at a multiple of its element size.
std::vector<Item> ItemsInOrder(const std::string& file, const std::map<std::string, Tensor>& tensors) {
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors) {
    GAS_CHECK(name != kSafetensorsMetadataKey, Errc::kBadOption, file, ": no tensor may be called ",
              kSafetensorsMetadataKey);
    GAS_CHECK(tensor.defined() && tensor.layout() == torch::kStrided, Errc::kBadOption, file, ": tensor '",
              name, "' is undefined or not dense");
    const char* dtype = SafetensorsDtypeName(tensor.scalar_type());
    GAS_CHECK(dtype != nullptr, Errc::kBadOption, file, ": tensor '", name, "' has dtype ",
              c10::toString(tensor.scalar_type()), ", which safetensors cannot hold");
    items.push_back({name, dtype, tensor});
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });
  return items;
}

std::string MakeHeader(const std::string& file, const std::vector<Item>& items,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kSafetensorsMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const Item& item : items) {
    const uint64_t end = offset + item.tensor.nbytes();
    header[item.name] = {
        {"dtype", item.dtype}, {"shape", item.tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::type_error&) {
    Fail(Errc::kBadOption, file, ": the header cannot be written: a name or a text in it is not UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  GAS_CHECK(text.size() <= kMaxSafetensorsHeaderBytes, Errc::kBadOption, file, ": header of ", text.size(),
            " bytes, at most ", kMaxSafetensorsHeaderBytes);
  return text;
}

}  // namespace

const Tensor& Safetensors::at(const std::string& tensor) const {
  const auto found = tensors.find(tensor);
  GAS_CHECK(found != tensors.end(), Errc::kBadFile, name, ": no tensor '", tensor, "' among its ",
            tensors.size());
  return found->second;
}

Safetensors ParseSafetensors(std::string_view name, std::span<const char> bytes) {
  return Load(name, bytes.size(), [bytes](uint64_t offset, std::span<char> to) {
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), to.size(), to.begin());
  });
}

// Reads each tensor straight into its memory, so that a file needs its own size and not twice that.
Safetensors ReadSafetensors(const fs::path& path) {
  const std::string name = path.string();
  std::error_code error;
  GAS_CHECK(fs::is_regular_file(path, error), Errc::kBadFile, name, ": not there, or not a regular file");
  const uint64_t size = fs::file_size(path, error);
  GAS_CHECK(!error && size <= kMaxFileBytes, Errc::kBadFile, name, ": ", size, " bytes, at most ",
            kMaxFileBytes, " are read");
  std::ifstream in(path, std::ios::binary);
  GAS_CHECK(in, Errc::kBadFile, name, ": cannot open it");
  return Load(name, size, [&](uint64_t offset, std::span<char> to) {
    in.seekg(static_cast<std::streamoff>(offset));
    in.read(to.data(), static_cast<std::streamsize>(to.size()));
    GAS_CHECK(in, Errc::kIo, name, " @", offset, ": cannot read ", to.size(), " bytes");
  });
}

void WriteSafetensors(const fs::path& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  const std::vector<Item> items = ItemsInOrder(path.string(), tensors);
  const std::string header = MakeHeader(path.string(), items, metadata);
  WriteFile(path, [&](const auto& append) {
    const uint64_t length = header.size();
    append({reinterpret_cast<const char*>(&length), sizeof length});
    append(header);
    for (const Item& item : items) {
      const Tensor flat = item.tensor.detach().to(torch::kCPU).contiguous();
      append({static_cast<const char*>(flat.data_ptr()), flat.nbytes()});
    }
  });
}

}  // namespace gas
