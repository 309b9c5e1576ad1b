#include "support/formula_fill.h"

#include "gas/core/error.h"

namespace gas::testing {
namespace {

uint64_t FromHex(const nlohmann::json& text) { return std::stoull(text.get<std::string>(), nullptr, 16); }

}  // namespace

FormulaFill::FormulaFill(const nlohmann::json& fill) : draw_(fill.at("S").get<uint64_t>()) {
  GAS_CHECK(!fill.at("worked_examples").empty(), Errc::kBadFile, "fill: no worked examples");
  for (const auto& example : fill.at("worked_examples")) CheckExample(example);
}

void FormulaFill::CheckExample(const nlohmann::json& example) const {
  const uint64_t stream = example.at("j").get<uint64_t>(), element = example.at("k").get<uint64_t>();
  const uint64_t seed = SeedOf(stream, element);
  GAS_CHECK(seed == FromHex(example.at("seed")) && Bits(seed) == FromHex(example.at("z")), Errc::kBadFile,
            "fill: bits of worked example ", example.dump(), " are ", Bits(seed));
  const double u = At(stream, element);
  GAS_CHECK(u == example.at("u").get<double>(), Errc::kBadFile, "fill: u of worked example ", example.dump(),
            " is ", u);
  if (!example.contains("scale")) return;
  const auto value = static_cast<float>(example.at("scale").get<double>() * u);
  GAS_CHECK(value == example.at("value").get<float>(), Errc::kBadFile, "fill: value of worked example ",
            example.dump(), " is ", value);
}

uint64_t FormulaFill::Bits(uint64_t seed) {
  uint64_t z = seed + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

double FormulaFill::At(uint64_t stream, uint64_t element) const {
  return static_cast<double>(Bits(SeedOf(stream, element)) >> 11) * 0x1p-53 * 2 - 1;
}

Tensor FormulaFill::Stream(uint64_t stream, at::IntArrayRef shape, double scale) const {
  Tensor values = torch::empty(shape, torch::kFloat64);
  auto* out = values.data_ptr<double>();
  for (int64_t k = 0; k < values.numel(); ++k) out[k] = scale * At(stream, static_cast<uint64_t>(k));
  return values;
}

}  // namespace gas::testing
