// Numbers of foreign files, checked.
#ifndef GAS_IMPORTERS_FILE_NUMBERS_H_
#define GAS_IMPORTERS_FILE_NUMBERS_H_

#include <string>
#include <vector>

#include "gas/io/torch_tensors.h"

namespace gas {

// A file of more steps is refused.
inline constexpr int64_t kMostImportedSteps = 1000;

// float64. Throws Error(kBadFile) if there is none of this name, or it has entries that are not finite.
Tensor FiniteTensor(const TorchTensors& tensors, const std::string& name);

// The entries of a list [N] or of a matrix, row by row.
std::vector<double> NumbersOf(const Tensor& values);

// The number that was meant by one that lies in a file in single precision: 0.001, not
// 0.0010000000474974513.
double AsWritten(double single);

}  // namespace gas

#endif  // GAS_IMPORTERS_FILE_NUMBERS_H_
