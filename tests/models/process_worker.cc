// A network in a process of its own for tests, in version 2 of the protocol (docs/process-denoiser.md), with
// every offer, and with every fault that a test asks for. Nothing of gas is included or linked.
//
//   process_worker HELLO [FAULT...]
//
// HELLO is an object of JSON whose entries are added to those of the first line. The network is the exact
// denoiser of data whose numbers are each +m or -m, with Gaussian noise of variance kVariance around them,
// times 1 + kDrift t; m depends on the label, or on the request. Faults, each for the requests of one "op":
//   once=OP:FILE    ends with status 9, unless FILE is there, which it makes
//   dies=OP         ends with status 9
//   error=OP        answers with an error
//   slow=OP         takes a second
//   short=OP        says and sends a byte less
//   stalls=OP       says the right number of bytes, sends one less, and stays alive
//   random=OP       adds a number that grows with every request
//   mixed=OP        adds the batch's size
//   wrong=OP        doubles what it answers
//   stays           does not quit when its input ends
//   deaf            forgets the requests that it is told
//   hello=FILE      with another name from the second start on, which FILE counts
// and one that comes at a stage of a worker's life, each time, or unless FILE is there, which it makes:
//   at=STAGE:DEED[:FILE]
// STAGE is before-hello, in-hello, after-hello, header (a piece of a request's line has come), OP (the
// request has come), fifth (the fifth has), reply (half of it is sent) or end (of the input). DEED is kill
// (by SIGKILL), rubbish (which it prints before it goes on) or late (by kLate).
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

namespace {

using Json = nlohmann::json;
using Numbers = std::vector<double>;

constexpr double kVariance = 0.04, kDrift = 0.05;
constexpr std::chrono::milliseconds kLate{700};

struct Level {
  double t, alpha, sigma;
};

// The network's output for one number, and its derivatives.
struct Point {
  double y, by_x, by_t, by_alpha, by_sigma;
};

Point At(double x, double m, const Level& l) {
  const double a = l.alpha, s = l.sigma, v = a * a * kVariance + s * s, v_a = 2 * a * kVariance, v_s = 2 * s;
  const double u = a * m * x / v, w = std::tanh(u), slope = m * s * s * (1 - w * w);
  const double y = (m * w * s * s + a * kVariance * x) / v, drift = 1 + kDrift * l.t;
  const double by_alpha = (slope * (m * x / v - u * v_a / v) + kVariance * x - y * v_a) / v;
  const double by_sigma = (slope * -u * v_s / v + 2 * m * w * s - y * v_s) / v;
  const double by_x = (slope * a * m / v + a * kVariance) / v;
  return {drift * y, drift * by_x, kDrift * y, drift * by_alpha, drift * by_sigma};
}

// Numbers as the pipe has them.
float FromHalf(uint16_t half, const std::string& dtype) {
  float value = 0;
  if (dtype == "bfloat16") {
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                        : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return half >> 15 != 0 ? -value : value;
}

uint16_t ToHalf(double number, const std::string& dtype) {
  const auto value = static_cast<float>(number);
  if (dtype == "bfloat16") {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  if (number == 0) return std::signbit(number) ? 0x8000 : 0;
  int exponent = 0;  // |value| = fraction * 2^exponent, fraction in [0.5, 1)
  const double fraction = std::frexp(std::abs(number), &exponent);
  const int sign = std::signbit(number) ? 0x8000 : 0;
  const int least = std::max(exponent, -13);  // below that numbers are not normal
  const auto rounded = static_cast<int>(std::nearbyint(std::ldexp(fraction, exponent - least + 11)));
  return static_cast<uint16_t>(sign + (exponent < -13 ? rounded : rounded + (least + 13) * 1024));
}

// The fault that comes at a stage.
class Trouble {
 public:
  explicit Trouble(const std::set<std::string>& faults) {
    for (const std::string& fault : faults) {
      if (!fault.starts_with("at=")) continue;
      const size_t deed = fault.find(':') + 1, file = fault.find(':', deed);
      stage_ = fault.substr(3, deed - 4);
      deed_ = fault.substr(deed, file - deed);
      if (file != fault.npos) file_ = fault.substr(file + 1);
    }
  }

  void At(const std::string& stage) const {
    if (stage != stage_ || (!file_.empty() && std::ifstream(file_))) return;
    if (!file_.empty()) std::ofstream(file_) << "done";
    if (deed_ == "kill") {
      std::cout << std::flush;
      ::raise(SIGKILL);
    } else if (deed_ == "rubbish") {
      std::cout << "\xff rubbish\n";
    } else if (stage == "end") {
      std::this_thread::sleep_for(kLate);
    } else {
      std::cout << std::flush;
      pollfd input{STDIN_FILENO, 0, 0};  // which tells that nobody waits any more
      if (::poll(&input, 1, static_cast<int>(kLate.count())) > 0) std::_Exit(0);
    }
  }

 private:
  std::string stage_, deed_, file_;
};

class Worker {
 public:
  Worker(Json hello, const std::set<std::string>& faults, const Trouble& trouble)
      : hello_(std::move(hello)), faults_(faults), trouble_(trouble) {}

  // False when the input has ended within a request.
  bool Answer(const Json& ask) {
    op_ = ask.at("op");
    std::string bytes;
    if (op_ == "condition") {
      for (const int64_t number : ask.value("forget", std::vector<int64_t>())) known_.erase(number);
      if (!faults_.contains("deaf")) known_[ask.at("number")] = ask.at("request");
    } else {
      batch_ = ask.at("batch");
      shape_ = ask.at("shape").get<std::vector<size_t>>();
      numbers_ = 1;
      for (const size_t side : shape_) numbers_ *= side;
      for (const int64_t number : ask.value("requests", std::vector<int64_t>())) {
        if (!known_.contains(number)) unknown_ = true;
      }
      if (op_ == "predict" && !Predict(ask, &bytes)) return false;
      if (op_ == "gradient" && !Gradient(ask, &bytes)) return false;
      if (op_ == "decode" && !Decode(&bytes)) return false;
      if (op_ == "decode_gradient" && !DecodeGradient(&bytes)) return false;
      if (op_ == "encode" && !Encode(&bytes)) return false;
    }
    Send(bytes);
    return true;
  }

 private:
  std::string dtype() const { return hello_.value("dtype", "float32"); }
  bool Has(const std::string& fault) const { return faults_.contains(fault + "=" + op_); }

  bool Read(char* to, size_t bytes) const {
    std::cin.read(to, static_cast<std::streamsize>(bytes));
    return static_cast<bool>(std::cin);
  }

  bool ReadNumbers(size_t count, const std::string& dtype, Numbers& to) const {
    to.resize(count);
    if (dtype == "float32") {
      std::vector<float> values(count);
      if (!Read(reinterpret_cast<char*>(values.data()), 4 * count)) return false;
      std::copy(values.begin(), values.end(), to.begin());
      return true;
    }
    std::vector<uint16_t> values(count);
    if (!Read(reinterpret_cast<char*>(values.data()), 2 * count)) return false;
    for (size_t i = 0; i < count; ++i) to[i] = FromHalf(values[i], dtype);
    return true;
  }

  void Write(double number, const std::string& dtype, std::string* bytes) {
    if (Has("random")) number += 1e-3 * static_cast<double>(requests_);
    if (Has("mixed")) number += 1e-3 * static_cast<double>(batch_);
    if (Has("wrong")) number *= 2;
    const auto put = [&](auto value) { bytes->append(reinterpret_cast<const char*>(&value), sizeof value); };
    if (dtype == "float64") {
      put(number);
    } else if (dtype == "float32") {
      put(static_cast<float>(number));
    } else {
      put(ToHalf(number, dtype));
    }
  }

  // The m of each sample.
  bool Means(const Json& ask, Numbers& means) const {
    means.assign(batch_, 0.5);
    if (ask.value("labels", false)) {
      std::vector<int64_t> labels(batch_);
      if (!Read(reinterpret_cast<char*>(labels.data()), 8 * batch_)) return false;
      for (size_t i = 0; i < batch_; ++i) means[i] = 0.4 + 0.1 * static_cast<double>(labels[i]);
    }
    const std::vector<int64_t> requests = ask.value("requests", std::vector<int64_t>());
    for (size_t i = 0; i < requests.size(); ++i)
      means[i] = unknown_ ? 0 : MeanOf(known_.at(requests[i]), ask);
    return true;
  }

  static double MeanOfText(const Json& text) {
    return 0.3 + (text.is_string() ? 0.1 * static_cast<double>(text.get<std::string>().size() % 8) : -0.1);
  }

  // Guidance here is of what the output depends on, which is enough to see that it arrived.
  static double MeanOf(const Json& request, const Json& ask) {
    const bool unconditional = !request.contains("prompt");
    double mean = MeanOfText(request.at(unconditional ? "negative" : "prompt"));
    if (request.contains("seed")) mean += 0.001 * request.at("seed").get<double>();
    if (!ask.contains("guidance")) return mean;
    const double none = request.contains("negative") ? MeanOfText(request.at("negative")) : 0;
    return none + ask.at("guidance").get<double>() * (mean - none);
  }

  bool Predict(const Json& ask, std::string* bytes) {
    Numbers x, means;
    if (!ReadNumbers(batch_ * numbers_, dtype(), x) || !Means(ask, means)) return false;
    const Level level{ask.at("t"), ask.at("alpha"), ask.at("sigma")};
    for (size_t i = 0; i < x.size(); ++i) Write(At(x[i], means[i / numbers_], level).y, dtype(), bytes);
    return true;
  }

  bool Gradient(const Json& ask, std::string* bytes) {
    Numbers x, means, output;
    if (!ReadNumbers(batch_ * numbers_, dtype(), x) || !Means(ask, means)) return false;
    if (!ReadNumbers(x.size(), "float32", output)) return false;
    const Level level{ask.at("t"), ask.at("alpha"), ask.at("sigma")};
    Numbers by_level(3 * batch_);
    for (size_t i = 0; i < x.size(); ++i) {
      const Point point = At(x[i], means[i / numbers_], level);
      Write(output[i] * point.by_x, "float32", bytes);
      const double by[] = {point.by_t, point.by_alpha, point.by_sigma};
      for (size_t k = 0; k < 3; ++k) by_level[i / numbers_ * 3 + k] += output[i] * by[k];
    }
    for (const double number : by_level) Write(number, "float64", bytes);
    return true;
  }

  // Every pixel of an image is the number of the state at its place, the first channel's for all; states are
  // [C,H,W].
  bool Decode(std::string* bytes) {
    Numbers x;
    if (!ReadNumbers(batch_ * numbers_, dtype(), x)) return false;
    const std::vector<size_t> image = ImageOf(), state = hello_.at("shape");
    const size_t factor = image[1] / state[1], rows = shape_[1], columns = shape_[2];
    for (size_t b = 0; b < batch_; ++b) {
      for (size_t c = 0; c < 3; ++c) {
        for (size_t i = 0; i < rows * factor * columns * factor; ++i) {
          const size_t row = i / (columns * factor) / factor, column = i % (columns * factor) / factor;
          Write(x[b * numbers_ + row * columns + column], "float32", bytes);
        }
      }
    }
    return true;
  }

  // Sums over the pixels that a number was copied to; other channels of a state are in no pixel.
  bool DecodeGradient(std::string* bytes) {
    Numbers x, output;
    const std::vector<size_t> image = ImageOf(), state = hello_.at("shape");
    const size_t factor = image[1] / state[1], rows = shape_[1], columns = shape_[2];
    const size_t pixels = rows * factor * columns * factor;
    if (!ReadNumbers(batch_ * numbers_, dtype(), x)) return false;
    if (!ReadNumbers(batch_ * 3 * pixels, "float32", output)) return false;
    Numbers sums(x.size());
    for (size_t k = 0; k < output.size(); ++k) {
      const size_t i = k % pixels, row = i / (columns * factor) / factor;
      sums[k / (3 * pixels) * numbers_ + row * columns + i % (columns * factor) / factor] += output[k];
    }
    for (const double number : sums) Write(number, "float32", bytes);
    return true;
  }

  // The upper left of each square, in every channel.
  bool Encode(std::string* bytes) {
    Numbers images;
    if (!ReadNumbers(batch_ * numbers_, "float32", images)) return false;
    const std::vector<size_t> image = ImageOf(), state = hello_.at("shape");
    const size_t factor = image[1] / state[1];
    for (size_t b = 0; b < batch_; ++b) {
      for (size_t c = 0; c < state[0]; ++c) {
        for (size_t i = 0; i < state[1] * state[2]; ++i) {
          const size_t row = i / state[2] * factor, column = i % state[2] * factor;
          Write(images[b * numbers_ + row * image[2] + column], dtype(), bytes);
        }
      }
    }
    return true;
  }

  std::vector<size_t> ImageOf() const { return hello_.at("decode").at("shape"); }

  void Send(std::string bytes) {
    ++requests_;
    trouble_.At(op_);
    if (requests_ == 5) trouble_.At("fifth");
    if (Has("dies")) std::_Exit(9);
    for (const std::string& fault : faults_) {
      const std::string once = "once=" + op_ + ":";
      if (!fault.starts_with(once) || std::ifstream(fault.substr(once.size()))) continue;
      std::ofstream made(fault.substr(once.size()));
      made.close();
      std::_Exit(9);
    }
    if (Has("slow")) ::sleep(1);
    if (Has("error") || unknown_) {
      std::cout << R"({"error":"no \u001b[31m memory"})" << std::endl;
      return;
    }
    if (Has("short")) bytes.pop_back();
    std::string reply = Json{{"bytes", bytes.size()}}.dump() + '\n' + bytes;
    if (Has("stalls")) reply.pop_back();
    std::cout << reply.substr(0, reply.size() / 2);
    trouble_.At("reply");
    std::cout << reply.substr(reply.size() / 2) << std::flush;
  }

  Json hello_;
  std::set<std::string> faults_;
  Trouble trouble_;
  std::map<int64_t, Json> known_;
  std::string op_;
  bool unknown_ = false;            // a request has a number that it was not told
  size_t batch_ = 0, numbers_ = 0;  // samples, and numbers in each
  std::vector<size_t> shape_;
  int64_t requests_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  std::ios::sync_with_stdio(false);
  Json hello = {{"gas_denoiser", 2},
                {"name", "two-points"},
                {"shape", {2, 3}},
                {"prediction", "data"},
                {"schedule", {{"kind", "vp-linear"}, {"beta_0", 0.1}, {"beta_1", 20.0}, {"t_eps", 0.001}}}};
  if (count > 1) hello.update(Json::parse(arguments[1]));
  const std::set<std::string> faults(arguments + std::min(count, 2), arguments + count);
  for (const std::string& fault : faults) {
    if (!fault.starts_with("hello=")) continue;
    if (std::ifstream(fault.substr(6))) hello["name"] = "another";
    std::ofstream(fault.substr(6)) << "started";
  }
  const Trouble trouble(faults);
  const std::string first = hello.dump() + "\n";
  trouble.At("before-hello");
  std::cout << first.substr(0, first.size() / 2);
  trouble.At("in-hello");
  std::cout << first.substr(first.size() / 2);
  trouble.At("after-hello");
  std::cout << std::flush;
  Worker worker(hello, faults, trouble);
  for (std::string line;;) {
    if (std::cin.peek() != EOF) trouble.At("header");
    if (!std::getline(std::cin, line)) break;
    if (!worker.Answer(Json::parse(line))) return 1;
  }
  trouble.At("end");
  while (faults.contains("stays")) ::sleep(1);
  return 0;
}
