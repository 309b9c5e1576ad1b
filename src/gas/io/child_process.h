// A program that runs beside this one and is spoken to through pipes to its standard input and output.
#ifndef GAS_IO_CHILD_PROCESS_H_
#define GAS_IO_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "gas/io/descriptor.h"

namespace gas {

// Bytes come only when they are asked for; what the process prints beyond that is an error. After an error it
// is not asked again. Not for several threads at once.
class ChildProcess {
 public:
  // Starts `/bin/sh -c command`; its standard error is ours. Messages begin with `name`. Throws
  // Error(kUnavailable) if the system starts no process; a command that does not exist is noticed when the
  // process is first asked.
  ChildProcess(std::string name, const std::string& command);
  // Closes the pipes, which asks the process to end, waits, and then ends it by signals. Takes 4 seconds at
  // most.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The first line that it prints, without its '\n'. Throws Error(kBadFile) if it is longer than max_bytes,
  // Error(kUnavailable), with the exit status, if the process ends before.
  std::string ReadLine(size_t max_bytes);

  // Writes all of `request` and fills `reply`, in whatever order the process reads and writes. Throws
  // Error(kUnavailable), with the exit status, if the process ends before, Error(kBadFile) if it prints more
  // than that, or has printed more before.
  void Exchange(std::vector<std::span<const char>> request, std::span<char> reply);

 private:
  void Converse(std::vector<std::span<const char>>& request, std::span<char> reply);
  void CheckSilent() const;
  bool EndsWithin(std::chrono::milliseconds time);
  [[noreturn]] void FailGone(const std::string& when);

  std::string name_;
  Descriptor to_{-1}, from_{-1};
  bool unasked_ = false;  // something came after the first line
  pid_t pid_ = -1;        // -1: reaped
  int status_ = -1;       // of waitpid, once reaped; -1 if the system did not keep it
};

}  // namespace gas

#endif  // GAS_IO_CHILD_PROCESS_H_
