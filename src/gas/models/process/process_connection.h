// One process that serves a network, from its start to its end.
#ifndef GAS_MODELS_PROCESS_PROCESS_CONNECTION_H_
#define GAS_MODELS_PROCESS_PROCESS_CONNECTION_H_

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/io/child_process.h"
#include "gas/models/process/process_hello.h"
#include "gas/models/process/request_numbers.h"

namespace gas {

// The bytes of a contiguous tensor on the CPU.
std::span<const char> BytesOf(const Tensor& tensor);
std::span<char> RoomOf(const Tensor& tensor);

class ProcessConnection {
 public:
  // Starts `/bin/sh -c command` and does not wait. Messages begin with `name`.
  ProcessConnection(std::string name, const std::string& command, ChildOptions options);

  // Waits for the first line, however long it loads its weights. Before all else. Throws
  // Error(kUnavailable) if the process ends before, Error(kBadFile) for a line that is not allowed.
  void ReadHello();
  const ProcessHello& hello() const { return hello_; }
  const std::string& hello_line() const { return hello_line_; }  // without its '\n'

  // One line and what follows it, answered by as many bytes as `reply` has. Throws Error(kUnavailable) when
  // the process has ended, takes too long or answers that it cannot, Error(kBadFile) when it breaks the
  // protocol.
  void Ask(const nlohmann::json& line, const std::vector<std::span<const char>>& rest, std::span<char> reply);

  // The numbers of requests, objects of JSON; those that the process does not know are told it first. Throws
  // as Ask.
  std::vector<int64_t> NumbersOf(const std::vector<std::string>& requests);

  // Whether an error was that the process ended: another one might do better.
  bool gone() const { return process_.gone(); }
  bool usable() const { return process_.usable(); }  // may be asked again
  // Asks it to end, and does not wait.
  void CloseInput() { process_.CloseInput(); }
  // Ends its input, and then the process. False if that needed signals.
  bool End(std::chrono::milliseconds time_to_quit = kTimeToQuit) { return process_.End(time_to_quit); }

 private:
  std::string name_;
  ChildProcess process_;
  std::string hello_line_;
  ProcessHello hello_;
  RequestNumbers numbers_;
};

// What the line of a reply of version 2 says: the text of {"error":"text"}, or nothing for
// {"bytes":`expected`}. Throws Error(kBadFile) for any other line. Messages begin with `where`.
std::optional<std::string> ErrorInReply(std::string_view where, std::string_view line, size_t expected);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_CONNECTION_H_
