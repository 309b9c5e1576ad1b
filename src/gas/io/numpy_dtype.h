// The element types of numpy's arrays that are read.
#ifndef GAS_IO_NUMPY_DTYPE_H_
#define GAS_IO_NUMPY_DTYPE_H_

#include <optional>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

// For messages.
inline constexpr std::string_view kNumpyDescrsRead = "little-endian: <f2 <f4 <f8 <i2 <i4 <i8 |i1 |u1 or |b1";

// Of an array-protocol type string such as "<f4"; nothing for one that is not read.
std::optional<torch::ScalarType> DtypeOfNumpyDescr(std::string_view descr);

}  // namespace gas

#endif  // GAS_IO_NUMPY_DTYPE_H_
