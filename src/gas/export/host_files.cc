#include "gas/export/host_files.h"

#include "gas/core/error.h"

namespace gas {

std::string_view HostFileText(std::string_view name) {
  for (const HostFile& file : HostFiles()) {
    if (file.name == name) return file.text;
  }
  Fail(Errc::kInternal, "hosts/", name, " is not among the embedded files");
}

}  // namespace gas
