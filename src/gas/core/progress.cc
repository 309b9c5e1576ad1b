#include "gas/core/progress.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

namespace gas {
namespace {

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

ProgressOutput ProgressOutput::Usual() {
  ProgressOutput output;
  output.terminal = isatty(STDERR_FILENO) == 1;
  if (output.terminal) output.every = std::chrono::milliseconds(250);
  return output;
}

Progress::Progress(std::string what, std::string unit, int64_t total, const ProgressOutput& output)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      output_(output),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) fmt::print(output_.file, "\n");
}

double Progress::seconds() const { return Seconds(Clock::now() - start_); }

std::string Progress::Line(int64_t done, Clock::time_point now) const {
  // With one update alone there is only the time from the start.
  const bool several = done > first_->done;
  const double counted = static_cast<double>(several ? done - first_->done : done);
  const double rate = counted / std::max(Seconds(now - (several ? first_->time : start_)), 1e-9);
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  return fmt::format("{}: {}/{} {}, {:.3g}/s, {:.0f} s left", what_, done, total_, unit_, rate, left);
}

void Progress::Update(int64_t done, const std::string& note) {
  const auto now = Clock::now();
  if (!first_) first_ = {done, now};
  const bool due = now - last_ >= output_.every || (output_.terminal && done == total_);
  if (!due) return;
  last_ = now;
  const std::string line = Line(done, now) + (note.empty() ? "" : ", " + note);
  if (output_.terminal) {
    fmt::print(output_.file, "\r{}\x1b[K", line);
    drawn_ = true;
  } else {
    fmt::print(output_.file, "{}\n", line);
  }
  std::fflush(output_.file);
}

}  // namespace gas
