// The files of hosts/, which the program carries with it: cmake/EmbedHosts.cmake writes them into a source
// file.
#ifndef GAS_EXPORT_HOST_FILES_H_
#define GAS_EXPORT_HOST_FILES_H_

#include <span>
#include <string_view>

namespace gas {

struct HostFile {
  std::string_view name;  // below hosts/: "python/gas_table.py"
  std::string_view text;
};

std::span<const HostFile> HostFiles();

// The text of a file by its name. A name of none is a bug of ours, Error(kInternal).
std::string_view HostFileText(std::string_view name);

}  // namespace gas

#endif  // GAS_EXPORT_HOST_FILES_H_
