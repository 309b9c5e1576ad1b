// Stable Diffusion 1 of the fixtures, for tests.
#ifndef GAS_TESTS_MODELS_SD_FILES_H_
#define GAS_TESTS_MODELS_SD_FILES_H_

#include <string>

#include "gas/models/model.h"
#include "support/fixtures.h"

namespace gas::testing {

inline constexpr uint64_t kConfigBytes = 1 << 20;  // more than a configuration has

inline std::string SmallTokenizerFolder() { return OwnFixture("clip_tokenizer_small").string(); }

// Opened with guidance, for which the unconditional side is encoded.
inline Model OpenSd1(const std::string& path, double guidance = 1, const std::string& config = "") {
  return OpenModel(path,
                   {.guidance = guidance, .config = config, .texts = {.tokenizer = SmallTokenizerFolder()}});
}

// A side of the fixture, ".cond" or ".uncond".
inline Tensor ContextOf(const Fixture& fixture, const std::string& side) {
  if (side == ".cond") return fixture.at("text_embeddings").index_select(0, fixture.at("cond_prompt_index"));
  return fixture.at("uncond").expand_as(ContextOf(fixture, ".cond"));
}

inline Condition Told(const Tensor& context) {
  Condition condition;
  condition.tensors["text"] = context;
  return condition;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_SD_FILES_H_
