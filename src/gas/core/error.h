// The one exception type. Its code is the exit status of the command line (docs/errors.md lists them).
#ifndef GAS_CORE_ERROR_H_
#define GAS_CORE_ERROR_H_

#include <sstream>
#include <stdexcept>
#include <string>

namespace gas {

enum class Errc : int {
  kInternal = 1,       // a bug of ours
  kBadOption = 2,      // an option, name or combination that cannot be carried out
  kBadFile = 3,        // a file that is unreadable, truncated, of the wrong kind, or that does not match
  kIo = 4,             // the system refused to write or read (disk full, permission)
  kNumeric = 5,        // NaN or infinity where a finite number must be
  kUnavailable = 6,    // a device or data set that is not on this machine
  kInterrupted = 130,  // by SIGINT; nothing that was finished is lost
  kTerminated = 143,   // by SIGTERM, likewise
};

class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Errc code() const { return code_; }

 private:
  Errc code_;
};

template <class... Parts>
[[noreturn]] void Fail(Errc code, const Parts&... parts) {
  std::ostringstream message;
  message.precision(10);
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace gas

// For input: one sentence that names thing, value and bound.
#define GAS_CHECK(condition, code, ...)                 \
  do {                                                  \
    if (!(condition)) ::gas::Fail((code), __VA_ARGS__); \
  } while (false)

// For our own bugs.
#define GAS_ASSERT(condition) \
  GAS_CHECK(condition, ::gas::Errc::kInternal, __FILE__, ":", __LINE__, ": internal error: ", #condition)

#endif  // GAS_CORE_ERROR_H_
