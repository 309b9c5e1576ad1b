// Each reader, given a damaged file, either reads it or throws Error(kBadFile): a small fuzzer that runs
// everywhere (tests/fuzz has the large one). The damage is a function of the seed, which a failure names.
#include <chrono>
#include <fstream>
#include <random>

#include "gas/io/idx.h"
#include "gas/io/npz.h"
#include "gas/io/pickle.h"
#include "gas/io/png.h"
#include "gas/io/safetensors.h"
#include "gas/io/torch_tensors.h"
#include "io/valid_files.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using Random = std::mt19937_64;

constexpr int kFilesPerReader = 5000;
// On a slow machine fewer files are tried rather than more time taken.
constexpr auto kTimePerReader = std::chrono::seconds(2);

size_t Below(Random& random, size_t n) { return n == 0 ? 0 : random() % n; }

void OverwriteNumber(std::string& file, size_t at, Random& random) {
  static constexpr uint64_t kNumbers[] = {
      0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, ~uint64_t{0}};
  const uint64_t number = kNumbers[Below(random, std::size(kNumbers))];
  const size_t width = std::min(size_t{1} << Below(random, 4), file.size() - at);
  std::memcpy(file.data() + at, &number, width);
}

void MutateOnce(std::string& file, Random& random) {
  if (file.empty()) return;
  const size_t at = Below(random, file.size()),
               length = 1 + Below(random, std::min<size_t>(64, file.size() - at));
  switch (Below(random, 7)) {
    case 0: file[at] = static_cast<char>(file[at] ^ (1 << Below(random, 8))); break;
    case 1: file[at] = static_cast<char>(random()); break;
    case 2: OverwriteNumber(file, at, random); break;
    case 3: file.resize(at); break;
    case 4: file.erase(at, length); break;
    case 5: file.insert(Below(random, file.size()), file.substr(at, length)); break;
    case 6: file.replace(Below(random, file.size()), length, file.substr(at, length)); break;
  }
}

using Parser = std::function<void(const std::string&)>;
using Repair = std::function<void(std::string&)>;

void TryMutations(const std::vector<std::string>& valid, const Parser& parse,
                  const Repair& repair = nullptr) {
  for (const std::string& file : valid) ASSERT_NO_THROW(parse(file));
  const auto deadline = std::chrono::steady_clock::now() + kTimePerReader;
  int read = 0, refused = 0;
  for (uint64_t seed = 0; seed < kFilesPerReader && std::chrono::steady_clock::now() < deadline; ++seed) {
    Random random(seed);
    std::string file = valid[Below(random, valid.size())];
    for (size_t i = 0, n = 1 + Below(random, 4); i < n; ++i) MutateOnce(file, random);
    if (repair && Below(random, 2) == 0) repair(file);
    try {
      parse(file);
      ++read;
    } catch (const Error& e) {
      ASSERT_EQ(static_cast<int>(e.code()), static_cast<int>(Errc::kBadFile))
          << "seed " << seed << ": " << e.what();
      ++refused;
    } catch (const std::exception& e) {
      FAIL() << "seed " << seed << ": " << e.what();
    }
  }
  // Damage that never or always matters would test one path only.
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 0);
}

TEST(Mutation, Safetensors) {
  TryMutations(testing::ValidSafetensors(),
               [](const std::string& file) { ParseSafetensors("mutant", file); });
}

TEST(Mutation, Idx) {
  TryMutations(testing::ValidIdx(), [](const std::string& file) { ParseIdx("mutant", file); });
}

TEST(Mutation, Npy) {
  TryMutations(testing::ValidNpy(), [](const std::string& file) { ParseNpy("mutant", file); });
}

TEST(Mutation, Npz) {
  TryMutations(testing::ValidNpz(), [](const std::string& file) { ParseNpz("mutant", file); });
}

TEST(Mutation, Png) {
  TryMutations(
      testing::ValidPng(), [](const std::string& file) { ParsePng("mutant", file); },
      testing::RepairPngChecksums);
}

TEST(Mutation, Pickle) {
  constexpr std::string_view kAllowed[] = {"torch._utils._rebuild_tensor_v2"};
  TryMutations(testing::ValidPickles(),
               [&](const std::string& file) { ParsePickle("mutant", file, {.constructors = kAllowed}); });
}

TEST(Mutation, TorchFile) {
  const testing::TempFolder folder("mutation");
  TryMutations(testing::ValidTorchFiles(), [&](const std::string& file) {
    const auto path = folder.path() / "mutant";
    std::ofstream(path, std::ios::binary) << file;
    const TorchTensors tensors(std::make_shared<TorchFile>(path, UnknownClasses::kKeep));
    for (const auto& [name, info] : tensors.tensors()) tensors.View(name).sum();
  });
}

}  // namespace
}  // namespace gas
