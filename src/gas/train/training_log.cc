#include "gas/train/training_log.h"

namespace gas {

nlohmann::json LogLine(const GsStep& step) {
  nlohmann::json line = {{"iteration", step.iteration}, {"loss", step.loss}, {"grad_norm", step.grad_norm}};
  if (step.validation) line["validation"] = *step.validation;
  if (step.adversarial) line["adversarial"] = *step.adversarial;
  if (step.coverage) line["coverage"] = *step.coverage;
  if (step.discriminator) {
    const DiscriminatorStep& d = *step.discriminator;
    line["discriminator"] = {{"loss", d.loss},
                             {"r1", d.r1},
                             {"r2", d.r2},
                             {"real_above_fake", d.real_above_fake},
                             {"grad_norm", d.grad_norm}};
  }
  if (step.trouble) line["trouble"] = *step.trouble;
  return line;
}

std::filesystem::path LogIn(const std::filesystem::path& folder) { return folder / "log.jsonl"; }

}  // namespace gas
