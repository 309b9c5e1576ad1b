// numpy's arrays and scalars in pickles, as its methods __reduce__ write them.
#ifndef GAS_IO_NUMPY_PICKLE_H_
#define GAS_IO_NUMPY_PICKLE_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "gas/io/pickle.h"
#include "gas/io/strided_tensor.h"

namespace gas {

// What ParsePickle must be allowed for them.
inline constexpr std::string_view kNumpyConstructors[] = {
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
};

using PickleScalar = std::variant<bool, int64_t, double, std::string>;

// Nothing if `value` is no array; Error(kBadFile) for an array of other things than numbers that are read.
// Its storage is the pickle's.
std::optional<StridedTensor> NumpyArray(std::string_view name, const PickleValue& value);

// Nothing if `value` is no scalar; Error(kBadFile) for one that is neither a number that is read nor a text.
std::optional<PickleScalar> NumpyScalar(std::string_view name, const PickleValue& value);

}  // namespace gas

#endif  // GAS_IO_NUMPY_PICKLE_H_
