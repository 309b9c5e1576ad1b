// Reference statistics as the programs of the field store them.
#ifndef GAS_METRICS_STATISTICS_FILE_H_
#define GAS_METRICS_STATISTICS_FILE_H_

#include <filesystem>

#include "gas/metrics/frechet.h"

namespace gas {

// Reads an .npz file with arrays mu [F] and sigma [F,F] (EDM, GAS, pytorch-fid). Throws Error(kBadFile)
// naming file and array for others, for NaN, and for a sigma that is not symmetric.
FeatureStatistics ReadStatistics(const std::filesystem::path& path);

}  // namespace gas

#endif  // GAS_METRICS_STATISTICS_FILE_H_
