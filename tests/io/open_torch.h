// Shorthands for tests that look into PyTorch's files.
#ifndef GAS_TESTS_IO_OPEN_TORCH_H_
#define GAS_TESTS_IO_OPEN_TORCH_H_

#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "gas/io/torch_file.h"

namespace gas::testing {

using Names = std::vector<std::string>;

inline std::shared_ptr<const TorchFile> OpenTorch(const std::filesystem::path& path,
                                                  UnknownClasses unknown = UnknownClasses::kRefuse) {
  return std::make_shared<TorchFile>(path, unknown);
}

inline int64_t IntegerAt(const TorchFile& file, const Names& path) {
  return std::get<int64_t>(*file.ScalarOf(*file.Find(path)));
}

}  // namespace gas::testing

#endif  // GAS_TESTS_IO_OPEN_TORCH_H_
