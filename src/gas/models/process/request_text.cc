#include "gas/models/process/request_text.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {

Tensor RequestRows(const std::vector<std::string>& texts) {
  const Tensor rows = torch::full({static_cast<int64_t>(texts.size()), kRequestBytes}, ' ', torch::kUInt8);
  auto* row = rows.data_ptr<uint8_t>();
  for (const std::string& text : texts) {
    GAS_CHECK(text.size() <= kRequestBytes, Errc::kBadOption, "the request ", Quoted(text), " has ",
              text.size(), " bytes, must be at most ", kRequestBytes);
    std::copy(text.begin(), text.end(), row);
    row += kRequestBytes;
  }
  return rows;
}

std::vector<std::string> RequestTexts(const Tensor& rows) {
  GAS_CHECK(rows.dim() == 2 && rows.scalar_type() == torch::kUInt8 && rows.size(1) <= kRequestBytes,
            Errc::kBadFile, "requests are ", c10::toString(rows.scalar_type()), " of shape ", rows.sizes(),
            ", must be uint8 of shape [B,n], n at most ", kRequestBytes);
  const Tensor all = rows.cpu().contiguous();
  const auto* row = reinterpret_cast<const char*>(all.data_ptr<uint8_t>());
  std::vector<std::string> texts;
  for (int64_t i = 0; i < all.size(0); ++i, row += all.size(1)) {
    std::string text(row, static_cast<size_t>(all.size(1)));
    text.erase(text.find_last_not_of(' ') + 1);
    const std::optional<nlohmann::json> json = ParseJsonOrNone(text);
    GAS_CHECK(json && json->is_object(), Errc::kBadFile, "request ", Quoted(text),
              ", must be an object of JSON");
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace gas
