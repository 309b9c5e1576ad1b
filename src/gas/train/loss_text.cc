#include "gas/train/loss_text.h"

#include <charconv>

#include "gas/core/error.h"
#include "gas/core/nearest.h"

namespace gas {
namespace {

// The part of `text` before the next '+' that is not the sign of an exponent, as in 1e+3*l1; `text` moves on
// behind it.
std::string_view TakeTerm(std::string_view& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const size_t digits = error == std::errc::invalid_argument ? 0 : static_cast<size_t>(end - text.data());
  const size_t plus = text.find('+', digits);
  const std::string_view term = text.substr(0, plus);
  text = plus == text.npos ? std::string_view() : text.substr(plus + 1);
  return term;
}

bool ReadWeight(std::string_view text, double& weight) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  return error == std::errc() && end == text.data() + text.size() && weight > 0 && std::isfinite(weight);
}

}  // namespace

std::vector<WeightedName> ParseLoss(const std::string& text, const std::vector<std::string>& known,
                                    const std::string& key) {
  std::string compact = text;
  std::erase(compact, ' ');
  std::vector<WeightedName> terms;
  bool more = true;
  for (std::string_view rest = compact; more;) {
    // A '+' at the very end promises another term.
    const size_t before = rest.size();
    const std::string_view term = TakeTerm(rest);
    more = term.size() < before;
    WeightedName found;
    std::string_view name = term;
    if (const size_t star = term.find('*'); star != term.npos) {
      name = term.substr(star + 1);
      GAS_CHECK(ReadWeight(term.substr(0, star), found.weight), Errc::kBadOption, key, " = ", text,
                ": weight ", term.substr(0, star), " of ", name, ", must be a positive number");
    }
    found.name = name;
    GAS_CHECK(!name.empty(), Errc::kBadOption, key, " = ", text,
              ": the name of a term is missing, must be such as l1+0.5*ms-ssim");
    GAS_CHECK(std::find(known.begin(), known.end(), found.name) != known.end(), Errc::kBadOption, key, " = ",
              text, ": unknown term ", name, ", did you mean ", NearestName(found.name, known), "?");
    terms.push_back(found);
  }
  return terms;
}

}  // namespace gas
