// The folder of a run: one process at a time, and the options that it was given.
#ifndef GAS_IO_RUN_FOLDER_H_
#define GAS_IO_RUN_FOLDER_H_

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/lock_file.h"

namespace gas {

class RunFolder {
 public:
  // Creates the folder and holds run.lock in it while it exists; the lock of a process that has ended is
  // taken over, and what killed ones were writing is removed. `verb` is what runs here: "gas train". Throws
  // Error(kUnavailable), which names who runs there already, and Error(kIo).
  RunFolder(const std::filesystem::path& folder, const std::string& verb);
  // Removes the folder if it was made here and nothing was written.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  // Writes options.json. To be called once nothing refuses the run any more.
  void WriteOptions(const nlohmann::json& record) const;

 private:
  std::filesystem::path folder_;
  bool made_here_;
  std::optional<LockFile> lock_;
};

}  // namespace gas

#endif  // GAS_IO_RUN_FOLDER_H_
