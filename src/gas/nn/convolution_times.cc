#include "gas/nn/convolution_times.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <limits>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/nn/packed_convolution.h"
#include "gas/nn/winograd.h"

namespace gas::nn {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTimesBytes = 16 << 20;
constexpr int64_t kLargestSide = 64;
constexpr int kRuns = 4;

// As Linux tells it; "unknown" elsewhere.
std::string ProcessorName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

std::string MachineKey() { return fmt::format("{} | LibTorch {}", ProcessorName(), TORCH_VERSION); }

std::string SizeKey(const ConvolutionSize& s) {
  return fmt::format("{}->{} at {}x{}", s.in, s.out, s.height, s.width);
}

bool IsTime(const nlohmann::json& value) {
  return value.is_number() && value.get<double>() > 0 && std::isfinite(value.get<double>());
}

// A whole file; an empty object where there is none, or a damaged one.
nlohmann::json ReadTimes(const fs::path& file) {
  std::error_code ignored;
  if (file.empty() || !fs::exists(file, ignored)) return nlohmann::json::object();
  try {
    const Bytes bytes = ReadFile(file, kMaxTimesBytes);
    const auto json = ParseJsonOrNone({bytes.data(), bytes.size()});
    if (json && json->is_object()) return *json;
  } catch (const Error&) {
  }
  return nlohmann::json::object();
}

// Of this thread's processor time, which other programs do not add to.
double SecondsOf(const std::function<void()>& work) {
  const auto now = [] {
    timespec t = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

// One thread computes while one exists, as it does for its part of a batch (models/batch_parallel.h).
class OneThread {
 public:
  OneThread() : before_(torch::get_num_threads()) { torch::set_num_threads(1); }
  ~OneThread() { torch::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

ConvolutionSeconds Measure(const ConvolutionSize& s) {
  const torch::NoGradGuard no_grad;
  const OneThread one_thread;
  const auto layout = torch::MemoryFormat::ChannelsLast;
  // No random numbers: the generator is the caller's.
  const Tensor x = torch::full({1, s.in, s.height, s.width}, 0.5).contiguous(layout);
  const Tensor weight = torch::full({s.out, s.in, 3, 3}, 0.01).contiguous(layout);
  const WinogradWeights two = TransformWeights(weight, WinogradTile::kTwo, Direction::kForward);
  const WinogradWeights four = TransformWeights(weight, WinogradTile::kFour, Direction::kForward);
  const bool packs = CanPackWeights();
  PackedWeights packed;
  if (packs) packed = PackWeights(weight, 1, 1, torch::kFloat32, s.height, s.width);
  constexpr double kNever = std::numeric_limits<double>::infinity();
  ConvolutionSeconds best = {kNever, kNever, kNever, kNever};
  for (int run = 0; run <= kRuns; ++run) {
    const ConvolutionSeconds now{
        .direct = SecondsOf([&] { torch::conv2d(x, weight, {}, 1, 1); }),
        .two = SecondsOf([&] { WinogradConvolution(x, two, {}); }),
        .four = SecondsOf([&] { WinogradConvolution(x, four, {}); }),
        .packed = packs ? SecondsOf([&] { PackedConvolution(x, packed, {}); }) : kNever};
    if (run == 0) continue;  // first runs compile kernels and fill caches
    best.direct = std::min(best.direct, now.direct);
    best.two = std::min(best.two, now.two);
    best.four = std::min(best.four, now.four);
    best.packed = std::min(best.packed, now.packed);
  }
  if (!packs) best.packed = best.direct;
  return best;
}

}  // namespace

fs::path ConvolutionTimesFile() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "gas" / "convolutions.json";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return fs::path(home) / ".cache" / "gas" / "convolutions.json";
  return {};
}

ConvolutionTimes::ConvolutionTimes(fs::path file) : file_(std::move(file)), machine_(MachineKey()) {
  const nlohmann::json all = ReadTimes(file_);
  const auto ours = all.find(machine_);
  if (ours == all.end() || !ours->is_object()) return;
  for (const auto& [size, times] : ours->items()) {
    if (!times.is_array() || times.size() != 4 || !std::all_of(times.begin(), times.end(), IsTime)) continue;
    const auto seconds = times.get<std::array<double, 4>>();
    known_[size] = {seconds[0], seconds[1], seconds[2], seconds[3]};
  }
}

ConvolutionSeconds ConvolutionTimes::Of(const ConvolutionSize& size) {
  ConvolutionSize part = size;
  part.height = std::min(part.height, kLargestSide);
  part.width = std::min(part.width, kLargestSide);
  const std::string key = SizeKey(part);
  if (!known_.contains(key)) known_[key] = measured_[key] = Measure(part);
  const double parts =
      static_cast<double>(size.height * size.width) / static_cast<double>(part.height * part.width);
  const ConvolutionSeconds& of_part = known_[key];
  return {of_part.direct * parts, of_part.two * parts, of_part.four * parts, of_part.packed * parts};
}

void ConvolutionTimes::Save() const {
  if (file_.empty() || measured_.empty()) return;
  nlohmann::json all = ReadTimes(file_);
  nlohmann::json& ours = all[machine_];
  if (!ours.is_object()) ours = nlohmann::json::object();
  for (const auto& [size, times] : measured_) {
    ours[size] = {times.direct, times.two, times.four, times.packed};
  }
  const std::string text = all.dump(1) + "\n";
  try {
    MakeDirectory(file_.parent_path());
    WriteFile(file_, std::span<const char>(text));
  } catch (const Error&) {
  }
}

}  // namespace gas::nn
