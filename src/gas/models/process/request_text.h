// Requests with texts as rows of a tensor, which conditions are made of.
#ifndef GAS_MODELS_PROCESS_REQUEST_TEXT_H_
#define GAS_MODELS_PROCESS_REQUEST_TEXT_H_

#include <string>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

// The bytes of a row: an object of JSON, filled up with spaces.
inline constexpr int64_t kRequestBytes = 4096;

// [B, kRequestBytes] uint8. Throws Error(kBadOption) for a text that is longer.
Tensor RequestRows(const std::vector<std::string>& texts);

// The texts without the spaces behind. Throws Error(kBadFile) if `rows` is not [B,n] uint8 with n of at most
// kRequestBytes, or a row is no object of JSON: conditions may come from files.
std::vector<std::string> RequestTexts(const Tensor& rows);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_REQUEST_TEXT_H_
