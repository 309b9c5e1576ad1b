// Seeds of samples. A sample's noise is a function of its seed alone.
#ifndef GAS_CORE_SEEDS_H_
#define GAS_CORE_SEEDS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

using Seed = uint64_t;

inline constexpr size_t kMostSeeds = 10'000'000;  // of one text

// Parses "0-63,100,200-210" (inclusive ranges, kept in the order written).
// Throws Error(kBadOption) for malformed text, a descending range, or more than `max_count` seeds.
std::vector<Seed> ParseSeeds(std::string_view text, size_t max_count = kMostSeeds);

// The shortest text that ParseSeeds turns back into `seeds`.
std::string FormatSeeds(std::span<const Seed> seeds);

// first, first + 1, ..., `count` of them.
std::vector<Seed> SeedRange(Seed first, int64_t count);

// A generator on the CPU whose numbers are those of no other seed. Below 2^32 it is LibTorch's for that seed;
// LibTorch drops the upper half of larger ones, which here go into the generator's state too.
at::Generator GeneratorOf(Seed seed);

// Standard normal noise [B, shape...] float32 on the CPU, row i from GeneratorOf(seeds[i]). Below 2^32 equal
// to the per-seed noise of the EDM and GAS programs; independent of batching, rank and earlier draws.
Tensor NoiseFor(std::span<const Seed> seeds, at::IntArrayRef shape);

// Class labels [B] int64 in [0, classes): a function of each seed alone, independent of its noise.
Tensor LabelsFor(std::span<const Seed> seeds, int64_t classes);

// 64 well mixed bits from `value` (splitmix64, Steele et al. 2014).
uint64_t MixBits(uint64_t value);

}  // namespace gas

#endif  // GAS_CORE_SEEDS_H_
