#include "gas/io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <thread>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeToDie{
    1000};  // after SIGTERM, and for the status of a process that closed its pipes
// Between looks at signals and the time: a signal need not come to the thread that waits.
constexpr milliseconds kTick{200};

// Writing to a process that has ended raises SIGPIPE, whose default is to end this program as well. How the
// program treats signals is not ours to change, so this thread holds the signal back and takes it away again.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec no_time{};
    while (!was_pending_ && ::sigtimedwait(&sigpipe_, nullptr, &no_time) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  bool was_pending_ = false;
  sigset_t sigpipe_, before_;
};

// That of this program, with `added` in the places of the same names; ends with a null.
std::vector<char*> EnvironmentWith(std::vector<std::string>& added) {
  std::vector<char*> all;
  for (char** ours = environ; *ours != nullptr; ++ours) {
    const std::string_view entry = *ours;
    const std::string_view name = entry.substr(0, entry.find('=') + 1);
    const auto is_same = [&](const std::string& other) { return other.starts_with(name); };
    if (std::none_of(added.begin(), added.end(), is_same)) all.push_back(*ours);
  }
  for (std::string& entry : added) all.push_back(entry.data());
  all.push_back(nullptr);
  return all;
}

// posix_spawn rather than fork, which would copy the page tables of a program with gigabytes of tensors.
pid_t Spawn(const std::string& name, const std::string& command, std::vector<std::string> added, int input,
            int output) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawnattr_init(&attributes);
  sigset_t none, sigpipe;
  ::sigemptyset(&none);
  ::sigemptyset(&sigpipe);
  ::sigaddset(&sigpipe, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &sigpipe);
  // A group of its own, so that what the shell started can be ended together with the shell.
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string shell = "sh", option = "-c", text = command;
  char* arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  std::vector<char*> environment = EnvironmentWith(added);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, "/bin/sh", &files, &attributes, arguments, environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  GAS_CHECK(error == 0, Errc::kUnavailable, name, ": the process cannot be started: ", std::strerror(error));
  return pid;
}

struct Pipe {
  explicit Pipe(const std::string& name) {
    GAS_CHECK(::pipe2(ends, O_CLOEXEC) == 0, Errc::kUnavailable, name,
              ": no pipe to the process: ", std::strerror(errno));
  }
  int ends[2] = {-1, -1};  // to read from, to write to
};

bool Again() { return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

// Where the bytes of a reply go.
class ChildProcess::Reply {
 public:
  virtual ~Reply() = default;
  // For the next bytes; empty when the reply is whole.
  virtual std::span<char> Room() = 0;
  virtual void Took(size_t bytes) = 0;
  // "7 of 80 bytes of a reply".
  virtual std::string Progress() const = 0;
};

class ChildProcess::FixedReply : public Reply {
 public:
  explicit FixedReply(std::span<char> all) : all_(all) {}
  std::span<char> Room() override { return all_.subspan(got_); }
  void Took(size_t bytes) override { got_ += bytes; }
  std::string Progress() const override {
    return std::to_string(got_) + " of " + std::to_string(all_.size()) + " bytes of a reply";
  }

 private:
  std::span<char> all_;
  size_t got_ = 0;
};

class ChildProcess::HeadedReply : public Reply {
 public:
  HeadedReply(const std::string& name, size_t max_line_bytes, const RoomAfterLine& room)
      : name_(name), max_line_bytes_(max_line_bytes), room_(room) {}

  std::span<char> Room() override { return rest_ ? rest_->Room() : std::span<char>(part_); }

  void Took(size_t bytes) override {
    if (rest_) return rest_->Took(bytes);
    const char* begin = part_;
    const char* end = std::find(begin, begin + bytes, '\n');
    line_.append(begin, end);
    GAS_CHECK(line_.size() <= max_line_bytes_, Errc::kBadFile, name_,
              ": a reply begins with a line of more than ", max_line_bytes_, " bytes");
    if (end == begin + bytes) return;
    const std::span<char> room = room_(line_);
    const std::span<const char> more(end + 1, begin + bytes);
    GAS_CHECK(more.size() <= room.size(), Errc::kBadFile, name_,
              ": the process printed more bytes than were asked for");
    std::copy(more.begin(), more.end(), room.begin());
    rest_.emplace(room);
    rest_->Took(more.size());
  }

  std::string Progress() const override {
    return rest_ ? rest_->Progress() : std::to_string(line_.size()) + " bytes of the line of a reply";
  }

 private:
  const std::string& name_;
  size_t max_line_bytes_;
  const RoomAfterLine& room_;
  char part_[4096];
  std::string line_;
  std::optional<FixedReply> rest_;  // once the line is whole
};

// One wait for the process.
class ChildProcess::Patience {
 public:
  Patience(const ChildProcess& process, std::optional<milliseconds> limit, std::string what)
      : process_(process), limit_(limit), what_(std::move(what)) {}

  // Until one of the two is ready; a descriptor of -1 is left out.
  void WaitFor(pollfd (&both)[2]) {
    for (;;) {
      const int ready = ::poll(both, 2, static_cast<int>(kTick.count()));
      if (ready > 0) return;
      GAS_CHECK(ready == 0 || Again(), Errc::kIo, process_.name_, ": poll: ", std::strerror(errno));
      CheckInterrupt();
      Check();
    }
  }

 private:
  void Check() {
    const auto waited = std::chrono::steady_clock::now() - start_;
    const auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
    GAS_CHECK(!limit_ || waited < *limit_, Errc::kUnavailable, process_.name_, ": no whole ", what_,
              " within ", limit_ ? seconds(*limit_) : 0, " seconds, the worker timeout");
    if (told_ || !process_.options_.message || waited < process_.options_.tell_after) return;
    told_ = true;
    process_.options_.message(process_.name_ + ": waiting for its " + what_ + " for " +
                              std::to_string(std::lround(seconds(waited))) + " seconds");
  }

  const ChildProcess& process_;
  std::optional<milliseconds> limit_;
  std::string what_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool told_ = false;
};

ChildProcess::ChildProcess(std::string name, const std::string& command, ChildOptions options)
    : name_(std::move(name)), options_(std::move(options)) {
  const Pipe request(name_);
  Descriptor its_input(request.ends[0]);
  to_ = Descriptor(request.ends[1]);
  const Pipe reply(name_);
  Descriptor its_output(reply.ends[1]);
  from_ = Descriptor(reply.ends[0]);
  for (const Descriptor* ours : {&to_, &from_}) {
    GAS_CHECK(::fcntl(ours->get(), F_SETFL, O_NONBLOCK) == 0, Errc::kIo, name_,
              ": pipe: ", std::strerror(errno));
  }
  pid_ = Spawn(name_, command, options_.environment, its_input.get(), its_output.get());
}

bool ChildProcess::End(milliseconds time_to_quit) {
  to_.Close();
  from_.Close();
  if (EndsWithin(time_to_quit)) return true;
  ::kill(-pid_, SIGTERM);
  if (EndsWithin(kTimeToDie)) return false;
  ::kill(-pid_, SIGKILL);
  EndsWithin(kTimeToDie);
  return false;
}

bool ChildProcess::EndsWithin(milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (pid_ >= 0) {
    const pid_t found = ::waitpid(pid_, &status_, WNOHANG);
    if (found == pid_ || (found < 0 && errno != EINTR)) {
      if (found < 0) status_ = -1;  // a program whose parent ignores SIGCHLD may not learn it
      pid_ = -1;
    } else if (std::chrono::steady_clock::now() >= until) {
      return false;
    } else {
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
  return true;
}

void ChildProcess::FailGone(const std::string& when) {
  gone_ = true;
  if (!EndsWithin(kTimeToDie)) Fail(Errc::kUnavailable, name_, ": the process closed its pipes ", when);
  if (status_ == -1) Fail(Errc::kUnavailable, name_, ": the process ended ", when);
  if (WIFSIGNALED(status_)) {
    Fail(Errc::kUnavailable, name_, ": the process was ended by signal ", WTERMSIG(status_), " (",
         ::strsignal(WTERMSIG(status_)), ") ", when);
  }
  const int status = WEXITSTATUS(status_);
  Fail(Errc::kUnavailable, name_, ": the process ended with exit status ", status,
       status == 127 ? " (the command was not found) " : " ", when);
}

std::string ChildProcess::ReadLine(size_t max_bytes) {
  std::string line;
  Patience patience(*this, std::nullopt, "first line");
  for (;;) {
    pollfd both[2] = {{from_.get(), POLLIN, 0}, {-1, 0, 0}};
    patience.WaitFor(both);
    char part[4096];
    const ssize_t n = ::read(from_.get(), part, sizeof part);
    if (n < 0 && Again()) continue;
    GAS_CHECK(n >= 0, Errc::kIo, name_, ": cannot read from the process: ", std::strerror(errno));
    if (n == 0) FailGone("after " + std::to_string(line.size()) + " bytes of its first line");
    const char* end = std::find(part, part + n, '\n');
    line.append(part, static_cast<size_t>(end - part));
    GAS_CHECK(line.size() <= max_bytes, Errc::kBadFile, name_,
              ": the first line of the process is longer than ", max_bytes, " bytes");
    if (end == part + n) continue;
    unasked_ = end + 1 != part + n;  // said later: if the line is wrong too, that explains more
    return line;
  }
}

void ChildProcess::CheckSilent() const {
  pollfd from{from_.get(), POLLIN, 0};
  const bool more = unasked_ || (::poll(&from, 1, 0) > 0 && (from.revents & POLLIN) != 0);
  GAS_CHECK(!more, Errc::kBadFile, name_, ": the process printed more bytes than were asked for");
}

void ChildProcess::Exchange(std::vector<std::span<const char>> request, std::span<char> reply) {
  FixedReply fixed(reply);
  Exchange(request, fixed);
}

void ChildProcess::Exchange(std::vector<std::span<const char>> request, size_t max_line_bytes,
                            const RoomAfterLine& room) {
  HeadedReply headed(name_, max_line_bytes, room);
  Exchange(request, headed);
}

void ChildProcess::Exchange(std::vector<std::span<const char>>& request, Reply& reply) {
  GAS_CHECK(to_.valid(), Errc::kUnavailable, name_, ": the process failed earlier and is not asked again");
  try {
    CheckSilent();
    Converse(request, reply);
    CheckSilent();
  } catch (const Error&) {  // what comes next in the pipes belongs to no request
    to_.Close();
    from_.Close();
    throw;
  }
}

// Reads and writes in turn as the pipes allow: a process that begins its reply before it has read the whole
// request would otherwise wait for us, and we for it.
void ChildProcess::Converse(std::vector<std::span<const char>>& request, Reply& reply) {
  const WithoutSigpipe held_back;
  Patience patience(*this, options_.time_to_reply, "reply");
  size_t part = 0;
  for (;;) {
    while (part < request.size() && request[part].empty()) ++part;
    const std::span<char> room = reply.Room();
    const bool writing = part < request.size(), reading = !room.empty();
    if (!writing && !reading) return;
    pollfd both[2] = {{reading ? from_.get() : -1, POLLIN, 0}, {writing ? to_.get() : -1, POLLOUT, 0}};
    patience.WaitFor(both);
    if (both[0].revents != 0) {
      const ssize_t n = ::read(from_.get(), room.data(), room.size());
      GAS_CHECK(n >= 0 || Again(), Errc::kIo, name_,
                ": cannot read from the process: ", std::strerror(errno));
      if (n == 0) FailGone("after " + reply.Progress());
      if (n > 0) reply.Took(static_cast<size_t>(n));
    }
    if (both[1].revents != 0) {
      const ssize_t n = ::write(to_.get(), request[part].data(), request[part].size());
      GAS_CHECK(n >= 0 || Again() || errno == EPIPE, Errc::kIo, name_,
                ": cannot write to the process: ", std::strerror(errno));
      if (n < 0 && errno == EPIPE) FailGone("before it read a whole request");
      request[part] = request[part].subspan(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    }
  }
}

}  // namespace gas
