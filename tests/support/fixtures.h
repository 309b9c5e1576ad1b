// Reference numbers: NAME.json with its cases, and NAME.safetensors with its tensors
// (tests/fixtures/*/README.md).
#ifndef GAS_TESTS_SUPPORT_FIXTURES_H_
#define GAS_TESTS_SUPPORT_FIXTURES_H_

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"
#include "gas/io/safetensors.h"

namespace gas::testing {

// The folder of all fixtures: $GAS_FIXTURES, else tests/fixtures of $GAS_SOURCE_DIR.
std::filesystem::path FixtureFolder();

// A fixture of tests/fixtures, whatever $GAS_FIXTURES says: for tests that know what is in it.
std::filesystem::path OwnFixture(const std::string& name);

class Fixture {
 public:
  // name "solvers/unipc". Throws gas::Error if a file is missing or not readable.
  explicit Fixture(const std::string& name);

  const nlohmann::json& json() const { return json_; }
  // All cases. Throws gas::Error for an empty list: a test that runs no case must not pass.
  const nlohmann::json& cases() const;
  // Throws gas::Error naming the tensor if it is missing.
  const Tensor& at(const std::string& tensor) const { return tensors_.at(tensor); }
  bool Has(const std::string& tensor) const { return tensors_.tensors.count(tensor) > 0; }

 private:
  nlohmann::json json_;
  Safetensors tensors_;
};

// A number, or the strings "inf" and "-inf".
double Number(const nlohmann::json& value);

// Keeps the worst relative error |actual - expected| / max|expected| of a test and prints it at the end, so
// that a loss of accuracy shows before it is a failure.
class WorstError {
 public:
  explicit WorstError(std::string what) : what_(std::move(what)) {}
  ~WorstError();
  void Add(const Tensor& actual, const Tensor& expected, const std::string& name);

 private:
  std::string what_, where_;
  double worst_ = 0;
  int64_t count_ = 0;
};

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_FIXTURES_H_
