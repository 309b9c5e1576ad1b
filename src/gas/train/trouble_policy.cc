#include "gas/train/trouble_policy.h"

#include "gas/core/error.h"

namespace gas {
namespace {

constexpr double kLeastRelaxed = 1.0 / 64;  // a run that is in trouble still is given up

}  // namespace

TroubleResponse TroublePolicy::Judge(const std::optional<std::string>& trouble, int64_t iteration,
                                     double relaxed, bool measured) const {
  if (!trouble) return {};
  switch (on_trouble_) {
    case OnTrouble::kWarn:
      if (measured || iteration % kTroubleMemory == 0) return {.message = trouble};
      return {};
    case OnTrouble::kStop:
      Fail(Errc::kNumeric, "training: at iteration ", iteration, " ", *trouble,
           "; the last checkpoint is kept");
    case OnTrouble::kRollBack: break;
  }
  GAS_CHECK(relaxed > kLeastRelaxed, Errc::kNumeric, "training: at iteration ", iteration, " ", *trouble,
            "; it did so again with the weight at ", relaxed,
            " of what was asked; the last checkpoint is kept");
  return {.roll_back = true, .message = trouble};
}

}  // namespace gas
