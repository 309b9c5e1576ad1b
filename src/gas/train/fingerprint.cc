#include "gas/train/fingerprint.h"

#include "gas/core/error.h"

namespace gas {
namespace {

[[noreturn]] void Refuse(const Checkpoint& file, const std::string& key, const std::string& then,
                         const std::string& now) {
  Fail(Errc::kBadFile, file.name(), ": was made with ", key, " = ", then, ", this run has ", now,
       "; use the same value to continue, or another run folder");
}

}  // namespace

void CheckSameFingerprint(const Checkpoint& file, const Fingerprint& now) {
  const Fingerprint then = Fingerprint::parse(file.Text("fingerprint"), nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(then.is_object(), Errc::kBadFile, file.name(), ": entry fingerprint is no JSON object");
  for (const auto& [key, value] : now.items()) {
    if (then.contains(key) && then[key] != value) Refuse(file, key, then[key].dump(), value.dump());
  }
  for (const auto& [key, value] : now.items()) {
    if (!then.contains(key)) Refuse(file, key, "(none)", value.dump());
  }
  for (const auto& [key, value] : then.items()) {
    if (!now.contains(key)) Refuse(file, key, value.dump(), "(none)");
  }
}

int64_t CheckIterations(const Checkpoint& file, int64_t asked) {
  const int64_t iterations = file.Int("iteration");
  GAS_CHECK(iterations >= 0 && iterations <= asked, Errc::kBadFile, file.name(), ": has made ", iterations,
            " iterations, must be in [0, train.iterations = ", asked, "]");
  return iterations;
}

}  // namespace gas
