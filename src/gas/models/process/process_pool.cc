#include "gas/models/process/process_pool.h"

#include <algorithm>
#include <future>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/models/model_files.h"

namespace gas {

ProcessPool::ProcessPool(const std::string& command, const WorkerOptions& options,
                         std::function<void(const std::string&)> message)
    : name_(std::string(kProcessPrefix) + command), command_(command), asked_(options) {
  using Milliseconds = std::chrono::milliseconds;
  const double timeout = options.timeout_s.value_or(kWorkerTimeout);
  options_.time_to_reply = Milliseconds(static_cast<int64_t>(timeout * 1000));
  options_.message = std::move(message);
  connections_.resize(static_cast<size_t>(options.count.value_or(1)));
  for (size_t i = 0; i < connections_.size(); ++i) connections_[i] = Start(i);  // they load side by side
  for (const auto& connection : connections_) {
    connection->ReadHello();
    if (hello_line_.empty()) hello_line_ = connection->hello_line();
    GAS_CHECK(connection->hello_line() == hello_line_, Errc::kBadFile, name_,
              ": two of its processes print different first lines, ", Quoted(hello_line_), " and ",
              Quoted(connection->hello_line()));
  }
  hello_ = connections_.front()->hello();
}

std::unique_ptr<ProcessConnection> ProcessPool::Start(size_t worker) const {
  ChildOptions options = options_;
  options.environment = {"GAS_WORKER=" + std::to_string(worker),
                         "GAS_WORKERS=" + std::to_string(connections_.size())};
  const std::string which = connections_.size() == 1 ? "" : " (worker " + std::to_string(worker) + ")";
  return std::make_unique<ProcessConnection>(name_ + which, command_, std::move(options));
}

// The old process stays in its place until there is a good new one: it is closed, and says so when it is
// asked.
void ProcessPool::Restart(std::unique_ptr<ProcessConnection>& connection, size_t worker) const {
  connection->End();  // before the new one needs its memory
  std::unique_ptr<ProcessConnection> fresh = Start(worker);
  fresh->ReadHello();
  GAS_CHECK(fresh->hello_line() == hello_line_, Errc::kBadFile, name_,
            ": the process was started again and its first line is ", Quoted(fresh->hello_line()),
            ", must be the same as before, ", Quoted(hello_line_));
  connection = std::move(fresh);
}

void ProcessPool::Do(size_t worker, const std::function<void(ProcessConnection&)>& work) const {
  std::unique_ptr<ProcessConnection>& connection = connections_[worker];
  const bool failed_before = connection->gone();
  try {
    return work(*connection);
  } catch (const Error& error) {
    if (failed_before || !connection->gone()) throw;
    if (options_.message) options_.message(std::string(error.what()) + "; it is started again");
  }
  Restart(connection, worker);
  work(*connection);
}

bool ProcessPool::usable() const {
  return std::ranges::all_of(connections_, [](const auto& connection) { return connection->usable(); });
}

std::shared_ptr<const ProcessPool> ProcessPool::StartAnew() const {
  End();  // before the new ones need their memory
  return std::make_shared<const ProcessPool>(command_, asked_, options_.message);
}

bool ProcessPool::End(std::chrono::milliseconds time_to_quit) const {
  for (const auto& connection : connections_) connection->CloseInput();  // they end side by side
  bool quit = true;
  for (const auto& connection : connections_) quit = connection->End(time_to_quit) && quit;
  return quit;
}

void ProcessPool::Share(int64_t batch, const Part& part) const {
  const std::lock_guard lock(one_at_a_time_);
  const int64_t parts = std::min<int64_t>(batch, static_cast<int64_t>(connections_.size()));
  const auto work = [&](int64_t i) {
    Do(static_cast<size_t>(i),
       [&](ProcessConnection& connection) { part(connection, batch * i / parts, batch * (i + 1) / parts); });
  };
  std::vector<std::future<void>> others;
  for (int64_t i = 1; i < parts; ++i) others.push_back(std::async(std::launch::async, work, i));
  std::exception_ptr first;
  const auto note = [&](const std::function<void()>& step) {
    try {
      step();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  };
  if (parts > 0) note([&] { work(0); });
  for (std::future<void>& other : others) note([&] { other.get(); });
  if (first) std::rethrow_exception(first);
}

}  // namespace gas
