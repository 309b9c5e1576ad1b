// A program that runs beside this one and is spoken to through pipes to its standard input and output.
#ifndef GAS_IO_CHILD_PROCESS_H_
#define GAS_IO_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gas/io/descriptor.h"

namespace gas {

// For a process to quit after its input has ended.
inline constexpr std::chrono::milliseconds kTimeToQuit{2000};

struct ChildOptions {
  std::vector<std::string> environment = {};  // "NAME=VALUE" each, over those of this program
  // In which a request must be answered; nothing: any time will do.
  std::optional<std::chrono::milliseconds> time_to_reply = {};
  // Told once of each wait that is longer than tell_after.
  std::function<void(const std::string&)> message = {};
  std::chrono::milliseconds tell_after{30'000};
};

// Bytes come only when they are asked for; what the process prints beyond that is an error. After an error it
// is not asked again. Not for several threads at once.
class ChildProcess {
 public:
  // Starts `/bin/sh -c command`; its standard error is ours. Messages begin with `name`. Throws
  // Error(kUnavailable) if the system starts no process; a command that does not exist is noticed when the
  // process is first asked.
  ChildProcess(std::string name, const std::string& command, ChildOptions options = {});
  ~ChildProcess() { End(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The first line that it prints, without its '\n'. Throws Error(kBadFile) if it is longer than max_bytes,
  // Error(kUnavailable), with the exit status, if the process ends before.
  std::string ReadLine(size_t max_bytes);

  // Writes all of `request` and fills `reply`, in whatever order the process reads and writes. Throws
  // Error(kUnavailable), with the exit status, if the process ends before, Error(kBadFile) if it prints more
  // than that, or has printed more before.
  // Error(kUnavailable) after time_to_reply.
  void Exchange(std::vector<std::span<const char>> request, std::span<char> reply);

  // Says where the bytes go that follow a line; an error that it throws is the exchange's.
  using RoomAfterLine = std::function<std::span<char>(std::string_view line)>;
  // The same for a reply that begins with a line of at most max_line_bytes, without its '\n'.
  void Exchange(std::vector<std::span<const char>> request, size_t max_line_bytes, const RoomAfterLine& room);

  // Whether an error was that the process ended, or closed its pipes: another one might do better.
  bool gone() const { return gone_; }

  // Whether it may be asked again.
  bool usable() const { return to_.valid(); }

  // Asks the process to end, and does not wait.
  void CloseInput() { to_.Close(); }

  // Closes the pipes, which asks the process to end, waits, and then ends it by signals, which takes 2
  // seconds more at most. False if it needed signals.
  bool End(std::chrono::milliseconds time_to_quit = kTimeToQuit);

 private:
  class Reply;
  class FixedReply;
  class HeadedReply;
  class Patience;
  void Exchange(std::vector<std::span<const char>>& request, Reply& reply);
  void Converse(std::vector<std::span<const char>>& request, Reply& reply);
  void CheckSilent() const;
  bool EndsWithin(std::chrono::milliseconds time);
  [[noreturn]] void FailGone(const std::string& when);

  std::string name_;
  ChildOptions options_;
  bool gone_ = false;
  Descriptor to_{-1}, from_{-1};
  bool unasked_ = false;  // something came after the first line
  pid_t pid_ = -1;        // -1: reaped
  int status_ = -1;       // of waitpid, once reaped; -1 if the system did not keep it
};

}  // namespace gas

#endif  // GAS_IO_CHILD_PROCESS_H_
