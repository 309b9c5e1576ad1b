#include "gas/io/numpy_dtype.h"

namespace gas {
namespace {

struct NumpyDescr {
  std::string_view text;
  torch::ScalarType type;
};
constexpr NumpyDescr kNumpyDescrs[] = {
    {"<f4", torch::kFloat32}, {"<f8", torch::kFloat64}, {"<f2", torch::kFloat16}, {"<i2", torch::kInt16},
    {"<i4", torch::kInt32},   {"<i8", torch::kInt64},   {"|i1", torch::kInt8},    {"|u1", torch::kUInt8},
    {"|b1", torch::kBool},    {"<i1", torch::kInt8},    {"<u1", torch::kUInt8},   {"<b1", torch::kBool}};

}  // namespace

std::optional<torch::ScalarType> DtypeOfNumpyDescr(std::string_view descr) {
  for (const NumpyDescr& known : kNumpyDescrs) {
    if (descr == known.text) return known.type;
  }
  return std::nullopt;
}

}  // namespace gas
