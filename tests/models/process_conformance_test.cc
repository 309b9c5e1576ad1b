#include "gas/models/process/process_conformance.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "models/process_worker.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::WorkerCommand;

constexpr const char* kAll =
    R"({"shape":[4,2,2],"texts":true,"gradient":true,"guidance":"worker","decode":{"shape":[3,8,8],"encode":true,"gradient":true}})";

ConformanceRecord CheckCommand(const std::string& command) {
  return CheckProcess(OpenModel("exec:" + command));
}

// The names of the checks that failed, and that of the last with what it found.
std::string Failed(const ConformanceRecord& record) {
  std::string names;
  for (const ConformanceCheck& check : record) {
    if (!check.passed) names += "[" + check.name + "] ";
  }
  return names;
}

std::string Found(const ConformanceRecord& record, const std::string& name) {
  const auto check =
      std::find_if(record.begin(), record.end(), [&](const auto& c) { return c.name == name; });
  return check == record.end() ? "not examined" : check->found;
}

TEST(ProcessConformance, AGoodProcessPasses) {
  const ConformanceRecord record = CheckCommand(WorkerCommand(kAll));
  EXPECT_EQ(record.size(), 9U);
  EXPECT_EQ(Failed(record), "");
  EXPECT_EQ(Failed(CheckCommand(WorkerCommand(R"({"classes":2,"gradient":true,"dtype":"bfloat16"})"))), "");
  EXPECT_EQ(
      Failed(CheckCommand(WorkerCommand(R"({"texts":true,"seeds":true,"gradient":true,"dtype":"float16"})"))),
      "");
  const ConformanceRecord first = CheckCommand(std::string("'") + GAS_EXAMPLE_DENOISER + "'");
  EXPECT_EQ(first.size(), 4U) << "version 1";
  EXPECT_EQ(Failed(first), "");
}

TEST(ProcessConformance, SaysWhatIsWrong) {
  const auto with = [](const std::string& faults) { return CheckCommand(WorkerCommand(kAll, faults)); };
  const ConformanceRecord shorter = with("short=decode");
  EXPECT_EQ(Failed(shorter), "[decodes] [gradient of images] ");
  EXPECT_THAT(Found(shorter, "decodes"), ::testing::HasSubstr("\"bytes\" = 1535, must be 1536"));
  const ConformanceRecord random = with("random=predict");
  EXPECT_THAT(Failed(random), ::testing::StartsWith("[repeats itself] "));
  EXPECT_THAT(Found(random, "repeats itself"), ::testing::HasSubstr("must be 0"));
  const ConformanceRecord mixed = with("mixed=predict");
  EXPECT_EQ(Failed(mixed), "[samples do not depend on each other] ");
  EXPECT_THAT(Found(mixed, "samples do not depend on each other"),
              ::testing::HasSubstr("a sample alone and in a batch of 3 differ by"));
  const ConformanceRecord wrong = with("wrong=gradient");
  EXPECT_EQ(Failed(wrong), "[gradient] ");
  EXPECT_THAT(Found(wrong, "gradient"), ::testing::HasSubstr("the derivative by the state is"));
  EXPECT_EQ(Failed(with("error=encode")), "[encodes] ");
  const ConformanceRecord images = with("wrong=decode_gradient");
  EXPECT_EQ(Failed(images), "[gradient of images] ");
  EXPECT_THAT(Found(images, "gradient of images"), ::testing::HasSubstr("the derivative by the state is"));
  EXPECT_THAT(Failed(with("deaf")), ::testing::HasSubstr("[requests by their numbers]"));
}

TEST(ProcessConformance, OneThatStaysIsNoticed) {
  EXPECT_EQ(Failed(CheckCommand(WorkerCommand("{}", "stays"))), "[quits when its input ends] ");
}

}  // namespace
}  // namespace gas
