// Processes that serve one network and share out its batches.
#ifndef GAS_MODELS_PROCESS_PROCESS_POOL_H_
#define GAS_MODELS_PROCESS_PROCESS_POOL_H_

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gas/models/process/process_connection.h"
#include "gas/models/worker_options.h"

namespace gas {

class ProcessPool {
 public:
  // Starts `/bin/sh -c command` as often as asked, with GAS_WORKER = 0, 1, ... and GAS_WORKERS, the count, in
  // the environment, and waits for all first lines, which must be the same. `message` is told of long waits
  // and of processes that are started again, by any thread. Throws Error(kUnavailable) if a process ends
  // before, Error(kBadFile) for a line that is not allowed.
  ProcessPool(const std::string& command, const WorkerOptions& options,
              std::function<void(const std::string&)> message = {});
  ~ProcessPool() { End(); }
  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  const std::string& name() const { return name_; }  // "exec:COMMAND", for messages
  const ProcessHello& hello() const { return hello_; }
  const std::string& hello_line() const { return hello_line_; }
  bool usable() const;  // whether all processes may be asked again
  // Ends the processes, and starts others in the same way. Throws as the constructor.
  std::shared_ptr<const ProcessPool> StartAnew() const;

  // Rows [begin, end) of a batch, by the process that is given. A pure function: it is called again, with
  // another process, if this one ends. A process that ends twice in one piece of work is not asked again.
  using Part = std::function<void(ProcessConnection&, int64_t begin, int64_t end)>;
  // All rows of a batch, divided among the processes, which work at the same time. One call at a time: a
  // second thread waits for the first. Throws the error of the first part that has one, after all are done.
  void Share(int64_t batch, const Part& part) const;

  // Ends the input of all processes, and then the processes. False if that needed signals.
  bool End(std::chrono::milliseconds time_to_quit = kTimeToQuit) const;

 private:
  std::unique_ptr<ProcessConnection> Start(size_t worker) const;
  void Restart(std::unique_ptr<ProcessConnection>& connection, size_t worker) const;
  void Do(size_t worker, const std::function<void(ProcessConnection&)>& work) const;

  std::string name_, command_;
  WorkerOptions asked_;
  ChildOptions options_;
  std::string hello_line_;
  ProcessHello hello_;
  mutable std::mutex one_at_a_time_;
  mutable std::vector<std::unique_ptr<ProcessConnection>> connections_;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_POOL_H_
