#include "resume/runs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "gas/core/error.h"
#include "gas/core/torch.h"
#include "gas/io/file.h"
#include "gas/io/png.h"

namespace gas::testing {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// In the child: becomes the program, with its output in files.
[[noreturn]] void Become(const BreakableRun& run, const fs::path& where,
                         const std::vector<std::string>& environment) {
  std::vector<std::string> words = {GAS_PROGRAM};
  words.insert(words.end(), run.words.begin(), run.words.end());
  std::vector<char*> argv;
  words.insert(words.end(), {"--threads", "1"});
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (::chdir(where.c_str()) != 0) ::_exit(99);
  ::dup2(::open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDOUT_FILENO);
  ::dup2(::open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    ::setenv(entry.substr(0, equals).c_str(), entry.substr(equals + 1).c_str(), 1);
  }
  ::execv(argv[0], argv.data());
  ::_exit(99);
}

// Processor time of a child, all its threads; nothing once it has ended.
std::optional<double> ProcessorSeconds(pid_t child) {
  clockid_t clock;
  timespec time{};
  if (::clock_getcpuclockid(child, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return std::nullopt;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Waits for the end, and sends the signal when it is due.
Ended WaitFor(pid_t child, const fs::path& out, const std::optional<Signal>& signal) {
  Ended ended;
  std::optional<double> begun;
  bool sent = false;
  for (int status = 0;;) {
    if (::waitpid(child, &status, WNOHANG) == child) {
      ended.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      return ended;
    }
    const std::optional<double> now = ProcessorSeconds(child);
    if (!begun && fs::exists(out)) begun = now;
    if (begun && now) ended.seconds = *now - *begun;
    if (signal && !sent && begun && ended.seconds >= signal->after) {
      ::kill(child, signal->number);
      sent = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Every object's entries that tell of the run rather than of its result.
void RemoveCosts(nlohmann::json& json) {
  if (json.is_object()) {
    for (const char* key : {"seconds", "peak_mebibytes"}) json.erase(key);
  }
  if (json.is_structured()) {
    for (nlohmann::json& part : json) RemoveCosts(part);
  }
}

}  // namespace

const std::vector<BreakableRun>& BreakableRuns() {
  static const std::vector<BreakableRun> runs = {
      {"teacher",
       {"teacher", "--model", "mixture", "--seeds", "0-255", "--nfe", "10", "--states", "--shard", "8",
        "--batch", "8", "--out", "out"}},
      {"fit",
       {"fit", "--model", "mixture", "--nfe", "2,3", "--trajectories", "16", "--held-out", "8", "--batch",
        "8", "--budget", "4000", "--out", "out"}},
      {"train",
       {"train", "--model", "mixture", "--teacher", "data/teacher", "--nfe", "2,3", "--held-out", "8",
        "--batch", "4", "--iterations", "40", "--checkpoint-every", "5", "--out", "out"}},
      {"pretrain",
       {"pretrain", "--data", "data/images", "--width", "8", "--channel-mult", "1,1", "--batch", "4",
        "--images", "160", "--checkpoint-seconds", "1", "--run", "out"}},
  };
  return runs;
}

TempFolder* BreakableRunTest::inputs_ = nullptr;

void BreakableRunTest::SetUpTestSuite() {
  inputs_ = new TempFolder("resume_inputs");
  const fs::path& data = inputs_->path();
  torch::manual_seed(3);
  for (const char* name : {"one", "two"}) {
    for (int i = 0; i < 8; ++i) {
      MakeDirectory(data / "images/train" / name);
      WritePng(data / "images/train" / name / (std::to_string(i) + ".png"),
               torch::randint(256, {1, 8, 8}, torch::kUInt8));
    }
  }
  const BreakableRun teacher{
      "", {"teacher", "--model", "mixture", "--seeds", "0-31", "--nfe", "6", "--out", "teacher"}};
  const Ended ended = RunOnce(teacher, data);
  GAS_CHECK(ended.status == 0, Errc::kInternal, "gas teacher: ", ended.errors);
}

void BreakableRunTest::TearDownTestSuite() {
  delete inputs_;
  inputs_ = nullptr;
}

void BreakableRunTest::LinkInputs(const fs::path& folder) {
  fs::create_directory_symlink(inputs_->path(), folder / "data");
}

Ended RunOnce(const BreakableRun& run, const fs::path& where, const std::optional<Signal>& signal,
              const std::vector<std::string>& environment) {
  const pid_t child = ::fork();
  GAS_CHECK(child >= 0, Errc::kInternal, "fork failed");
  if (child == 0) Become(run, where, environment);
  Ended ended = WaitFor(child, where / "out", signal);
  ended.errors = TextOf(where / "stderr");
  return ended;
}

std::map<std::string, std::string> ResultsIn(const fs::path& where) {
  std::map<std::string, std::string> results;
  for (const auto& entry : fs::recursive_directory_iterator(where / "out")) {
    const std::string name = fs::relative(entry.path(), where / "out").string();
    if (entry.is_directory()) {
      results[name + "/"] = "";
      continue;
    }
    // The log says what happened, interruptions too; SIGKILL leaves the file that was being written.
    if (entry.path().filename() == "log.jsonl" || entry.path().extension() == ".tmp") continue;
    std::string text = TextOf(entry.path());
    if (name.ends_with(".json")) {
      nlohmann::json json = nlohmann::json::parse(text);
      RemoveCosts(json);
      text = json.dump();
    }
    results[name] = text;
  }
  return results;
}

std::vector<std::string> LeftoversIn(const fs::path& where) {
  std::vector<std::string> names;
  if (!fs::exists(where / "out")) return names;
  for (const auto& entry : fs::recursive_directory_iterator(where / "out")) {
    const std::string end = entry.path().extension().string();
    if (end == ".tmp" || end == ".lock") names.push_back(entry.path().string());
  }
  return names;
}

}  // namespace gas::testing
