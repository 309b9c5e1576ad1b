// First lines of processes in which a byte is wrong.
#ifndef GAS_TESTS_MODELS_DAMAGED_HELLO_H_
#define GAS_TESTS_MODELS_DAMAGED_HELLO_H_

#include <string>

#include "gas/core/error.h"
#include "gas/models/process/process_hello.h"
#include "support/expect.h"

namespace gas::testing {

// Whatever byte of a first line is damaged: it is read, or refused as a bad file.
inline void ReadDamagedHellos(const std::string& good) {
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\0', '"', '}', '9', '-', '\xff'}) {
      std::string line = good;
      line[at] = byte;
      try {
        ParseProcessHello("exec:x", line);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::kBadFile) << error.what();
      }
    }
  }
}

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_DAMAGED_HELLO_H_
