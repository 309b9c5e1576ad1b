// What holds for a whole pickle, and can only be seen when all of it is there.
#ifndef GAS_IO_PICKLE_CHECK_H_
#define GAS_IO_PICKLE_CHECK_H_

#include <string_view>

#include "gas/io/pickle.h"

namespace gas {

// Throws Error(kBadFile) for a value that contains itself, for a depth beyond kMaxPickleDepth, and for a dict
// in which a key occurs twice or cannot be one. Takes time and memory linear in the pickle, however often its
// values are shared.
void CheckPickle(std::string_view name, const Pickle& pickle);

}  // namespace gas

#endif  // GAS_IO_PICKLE_CHECK_H_
