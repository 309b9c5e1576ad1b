#include "gas/io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeToQuit{2000};  // after its input has ended
constexpr milliseconds kTimeToDie{
    1000};  // after SIGTERM, and for the status of a process that closed its pipes

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

// posix_spawn rather than fork, which would copy the page tables of a program with gigabytes of tensors.
pid_t Spawn(const std::string& name, const std::string& command, int input, int output) {
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
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, "/bin/sh", &files, &attributes, arguments, environ);
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

// Waits until one of the two is ready; a descriptor of -1 is left out.
void WaitFor(pollfd (&both)[2], const std::string& name) {
  while (::poll(both, 2, -1) < 0) {
    GAS_CHECK(Again(), Errc::kIo, name, ": poll: ", std::strerror(errno));
    CheckInterrupt();
  }
}

}  // namespace

ChildProcess::ChildProcess(std::string name, const std::string& command) : name_(std::move(name)) {
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
  pid_ = Spawn(name_, command, its_input.get(), its_output.get());
}

ChildProcess::~ChildProcess() {
  to_.Close();
  from_.Close();
  if (pid_ < 0 || EndsWithin(kTimeToQuit)) return;
  ::kill(-pid_, SIGTERM);
  if (EndsWithin(kTimeToDie)) return;
  ::kill(-pid_, SIGKILL);
  EndsWithin(kTimeToDie);
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
  for (;;) {
    pollfd both[2] = {{from_.get(), POLLIN, 0}, {-1, 0, 0}};
    WaitFor(both, name_);
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
void ChildProcess::Converse(std::vector<std::span<const char>>& request, std::span<char> reply) {
  const WithoutSigpipe held_back;
  size_t got = 0, part = 0;
  for (;;) {
    while (part < request.size() && request[part].empty()) ++part;
    const bool writing = part < request.size(), reading = got < reply.size();
    if (!writing && !reading) return;
    pollfd both[2] = {{reading ? from_.get() : -1, POLLIN, 0}, {writing ? to_.get() : -1, POLLOUT, 0}};
    WaitFor(both, name_);
    if (both[0].revents != 0) {
      const ssize_t n = ::read(from_.get(), reply.data() + got, reply.size() - got);
      GAS_CHECK(n >= 0 || Again(), Errc::kIo, name_,
                ": cannot read from the process: ", std::strerror(errno));
      if (n == 0) {
        FailGone("after " + std::to_string(got) + " of " + std::to_string(reply.size()) +
                 " bytes of a reply");
      }
      got += static_cast<size_t>(std::max<ssize_t>(n, 0));
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
