#include "gas/core/memory.h"

#include <sys/resource.h>

namespace gas {

double PeakMebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace gas
