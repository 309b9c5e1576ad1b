#include "gas/core/seeds.h"

#include <array>
#include <charconv>
#include <limits>
#include <numeric>

#include <ATen/CPUGeneratorImpl.h>

#include "gas/core/error.h"
#include "gas/core/shown.h"

namespace gas {
namespace {

Seed ParseSeed(std::string_view text, std::string_view whole) {
  Seed seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  GAS_CHECK(error == std::errc() && end == text.data() + text.size() && seed < (1ull << 63), Errc::kBadOption,
            "seeds ", Quoted(whole), ": ", Quoted(text),
            " is not a whole number in [0, 2^63), write for example 0-63,100");
  return seed;
}

// The state of a Mersenne Twister from the two words of a seed, by the `init_by_array` of its authors
// (Matsumoto and Nishimura, mt19937ar.c of 2002): every seed has a state of its own.
at::mt19937 TwisterOfTwoWords(Seed seed) {
  constexpr uint32_t kSize = at::MERSENNE_STATE_N;
  const std::array<uint32_t, 2> words = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  at::mt19937 twister(19650218);
  at::mt19937_data_pod data = twister.data();
  data.seed_ = seed;
  std::array<uint32_t, kSize>& state = data.state_;
  uint32_t i = 1;
  const auto before = [&] { return state[i - 1] ^ (state[i - 1] >> 30); };
  const auto advance = [&] {
    if (++i < kSize) return;
    state[0] = state[kSize - 1];
    i = 1;
  };
  for (uint32_t k = 0; k < kSize; ++k, advance()) {
    const uint32_t word = k % 2;
    state[i] = (state[i] ^ (before() * 1664525)) + words[word] + word;
  }
  for (uint32_t k = 1; k < kSize; ++k, advance()) state[i] = (state[i] ^ (before() * 1566083941)) - i;
  state[0] = 0x80000000;
  twister.set_data(data);
  return twister;
}

}  // namespace

std::vector<Seed> ParseSeeds(std::string_view text, size_t max_count) {
  std::vector<Seed> seeds;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const size_t dash = part.find('-');
    const Seed first = ParseSeed(part.substr(0, dash), text);
    const Seed last = dash == part.npos ? first : ParseSeed(part.substr(dash + 1), text);
    GAS_CHECK(first <= last, Errc::kBadOption, "seeds ", Quoted(text), ": range ", first, "-", last,
              " runs backwards");
    GAS_CHECK(last - first < max_count - seeds.size(), Errc::kBadOption, "seeds ", Quoted(text),
              ": more than ", max_count, " seeds");
    for (Seed seed = first; seed <= last; ++seed) seeds.push_back(seed);
    begin = end + 1;
  }
  return seeds;
}

std::string FormatSeeds(std::span<const Seed> seeds) {
  std::string text;
  for (size_t i = 0; i < seeds.size();) {
    size_t last = i;
    while (last + 1 < seeds.size() && seeds[last + 1] == seeds[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(seeds[i]);
    if (last > i) text += '-' + std::to_string(seeds[last]);
    i = last + 1;
  }
  return text;
}

std::vector<Seed> SeedRange(Seed first, int64_t count) {
  std::vector<Seed> seeds(count);
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

at::Generator GeneratorOf(Seed seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  if (seed > std::numeric_limits<uint32_t>::max()) {
    generator.get<at::CPUGeneratorImpl>()->set_engine(TwisterOfTwoWords(seed));
  }
  return generator;
}

Tensor NoiseFor(std::span<const Seed> seeds, at::IntArrayRef shape) {
  std::vector<int64_t> full{static_cast<int64_t>(seeds.size())};
  full.insert(full.end(), shape.begin(), shape.end());
  Tensor noise = torch::empty(full, torch::kFloat32);
  for (size_t i = 0; i < seeds.size(); ++i) {
    noise[static_cast<int64_t>(i)].copy_(torch::randn(shape, GeneratorOf(seeds[i]), torch::kFloat32));
  }
  return noise;
}

Tensor LabelsFor(std::span<const Seed> seeds, int64_t classes) {
  GAS_CHECK(classes >= 1, Errc::kBadOption, "labels: ", classes, " classes, must be at least 1");
  Tensor labels = torch::empty({static_cast<int64_t>(seeds.size())}, torch::kInt64);
  auto out = labels.accessor<int64_t, 1>();
  for (size_t i = 0; i < seeds.size(); ++i) {
    out[static_cast<int64_t>(i)] = static_cast<int64_t>(MixBits(seeds[i]) % static_cast<uint64_t>(classes));
  }
  return labels;
}

uint64_t MixBits(uint64_t value) {
  value += 0x9E3779B97F4A7C15ull;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
  return value ^ (value >> 31);
}

}  // namespace gas
