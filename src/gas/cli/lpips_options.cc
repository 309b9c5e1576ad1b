#include "gas/cli/lpips_options.h"

namespace gas::cli {

std::vector<OptionRow> LpipsRows(const LpipsKeys& keys, const char* only) {
  return {
      {.key = keys.trunk,
       .flag = "--lpips-trunk",
       .type = OptType::kText,
       .def = "",
       .help = "weights of the trunk of an LPIPS, a safetensors file (docs/lpips.md)",
       .value = "FILE",
       .only = only},
      {.key = keys.heads,
       .flag = "--lpips-heads",
       .type = OptType::kText,
       .def = "",
       .help = "its linear heads [in the trunk's file]",
       .value = "FILE",
       .only = only},
  };
}

LpipsFiles ReadLpipsFiles(const Options& options, const LpipsKeys& keys) {
  return {options.Text(keys.trunk), options.Text(keys.heads)};
}

}  // namespace gas::cli
