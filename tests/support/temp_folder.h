// A folder of this test's own, removed at its end.
#ifndef GAS_TESTS_SUPPORT_TEMP_FOLDER_H_
#define GAS_TESTS_SUPPORT_TEMP_FOLDER_H_

#include <unistd.h>

#include <filesystem>
#include <string>

namespace gas::testing {

class TempFolder {
 public:
  explicit TempFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("gas_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_TEMP_FOLDER_H_
