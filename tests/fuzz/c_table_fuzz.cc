// hosts/c/gas_table.c: whatever the bytes are, they are refused or read, and a table that was read runs.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gas_table.h"

namespace {

constexpr size_t kMostFloats = 4096;  // of a state, so that a run is short

int Identity(void* floats, int, const float* x, double, double, double, float* output) {
  std::copy_n(x, *static_cast<size_t*>(floats), output);
  return 0;
}

void RunTable(const gas_solver* solver, const gas_table* table) {
  size_t floats = 3;
  if (table->rotation != nullptr)
    floats = static_cast<size_t>(table->channels) * static_cast<size_t>(table->height) *
             static_cast<size_t>(table->width);
  if (floats > kMostFloats) return;
  std::vector<float> states(floats, 0.5F);
  gas_error error;
  (void)gas_sample(solver, table, 1, floats, states.data(), states.data(), Identity, &floats, &error);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas_error error;
  gas_solver* solver = gas_solver_parse(reinterpret_cast<const char*>(data), size, &error);
  if (solver == nullptr) return 0;
  for (int i = 0; i < gas_solver_count(solver); ++i) RunTable(solver, gas_solver_at(solver, i));
  gas_solver_free(solver);
  return 0;
}
