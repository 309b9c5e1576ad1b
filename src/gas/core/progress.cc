#include "gas/core/progress.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

namespace gas {

using Clock = std::chrono::steady_clock;

Progress::Progress(std::string what, std::string unit, int64_t total)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      visible_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\n");
}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::Update(int64_t done, const std::string& note) {
  const auto now = Clock::now();
  const bool due = now - last_ > std::chrono::milliseconds(250) || done == total_;
  if (!visible_ || !due) return;
  last_ = now;
  const double rate = static_cast<double>(done) / std::max(seconds(), 1e-9);
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  fmt::print(stderr, "\r{}: {}/{} {}, {:.1f}/s, {:.0f} s left{}{}\x1b[K", what_, done, total_, unit_, rate,
             left, note.empty() ? "" : ", ", note);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace gas
