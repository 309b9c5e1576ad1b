// From requests with texts to what a process is told of them.
#ifndef GAS_MODELS_PROCESS_PROCESS_CONDITIONER_H_
#define GAS_MODELS_PROCESS_PROCESS_CONDITIONER_H_

#include <optional>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/conditioner.h"
#include "gas/models/process/process_hello.h"
#include "gas/models/text_options.h"

namespace gas {

// The entry of a condition that is a request: [B,n] uint8 (request_text.h).
inline constexpr const char* kRequestEntry = "request";

// Of a process that takes texts. A row is an object with the prompt and, as far as they apply, the size of
// the image and the seed; where the process applies guidance also with the negative prompt, null for none; on
// the unconditional side of guidance that is applied here with the negative prompt in place of the prompt.
class ProcessConditioner : public Conditioner {
 public:
  ProcessConditioner(const ProcessHello& hello, const TextOptions& options)
      : hello_(hello), options_(options) {}
  Condition Of(std::span<const Request> requests) const override;
  std::optional<Condition> None() const override;
  Condition Placeholder(int64_t batch) const override;

 private:
  std::string TextOf(const nlohmann::json& what, std::optional<Seed> seed) const;

  ProcessHello hello_;
  TextOptions options_;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_CONDITIONER_H_
