#include "support/fixtures.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>

#include "gas/core/error.h"

namespace gas::testing {

namespace {

std::filesystem::path OwnFolder() {
  const char* source = std::getenv("GAS_SOURCE_DIR");
  GAS_CHECK(source != nullptr, Errc::kBadOption, "GAS_SOURCE_DIR is not set");
  return std::filesystem::path(source) / "tests" / "fixtures";
}

}  // namespace

std::filesystem::path FixtureFolder() {
  if (const char* folder = std::getenv("GAS_FIXTURES"); folder != nullptr && *folder != '\0') return folder;
  return OwnFolder();
}

std::filesystem::path OwnFixture(const std::string& name) { return OwnFolder() / name; }

Fixture::Fixture(const std::string& name) {
  const std::filesystem::path base = FixtureFolder() / name;
  std::ifstream file(base.string() + ".json");
  GAS_CHECK(file.good(), Errc::kBadFile, base.string(), ".json: cannot be opened");
  json_ = nlohmann::json::parse(file);
  tensors_ = ReadSafetensors(base.string() + ".safetensors");
}

const nlohmann::json& Fixture::cases() const {
  const nlohmann::json& list = json_.at("cases");
  GAS_CHECK(list.is_array() && !list.empty(), Errc::kBadFile, "fixture ", tensors_.name, ": no cases");
  return list;
}

double Number(const nlohmann::json& value) {
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return value.get<double>();
}

void WorstError::Add(const Tensor& actual, const Tensor& expected, const std::string& name) {
  ++count_;
  const Tensor want = expected.detach().to(torch::kFloat64);
  const double largest = want.abs().max().item<double>();
  const double error = (actual.detach().to(torch::kFloat64) - want).abs().max().item<double>();
  if (error <= worst_ * largest) return;
  worst_ = error / largest;
  where_ = name;
}

WorstError::~WorstError() {
  std::cout << what_ << ": worst relative error " << worst_ << " of " << count_ << " cases, at " << where_
            << '\n';
}

}  // namespace gas::testing
