// Names of files that are being written, beside what they are renamed to: .gas-HOST-PID-NUMBER.tmp.
#ifndef GAS_IO_TEMPORARY_FILES_H_
#define GAS_IO_TEMPORARY_FILES_H_

#include <filesystem>

namespace gas {

// Another name at each call.
std::filesystem::path NextTemporaryPath(const std::filesystem::path& folder);

// Removes what killed processes of this host have left in `folder` (not in folders below). Files of processes
// that live, of other hosts and of other names stay, and so does what the system refuses to remove.
void RemoveAbandonedTemporaries(const std::filesystem::path& folder);

}  // namespace gas

#endif  // GAS_IO_TEMPORARY_FILES_H_
