#include "gas/io/pickle_json.h"

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// A small file can name the same part of it any number of times.
constexpr size_t kMaxValues = 10'000;

// Recursion goes as deep as values are nested, which ParsePickle bounds.
class JsonWalk {
 public:
  JsonWalk(const TorchFile& file, std::string_view what) : file_(file), what_(what) {}

  Json Of(const PickleValue& value) {
    GAS_CHECK(++count_ <= kMaxValues, Errc::kBadFile, file_.name(), ": ", what_, " has more than ",
              kMaxValues, " values");
    if (value.If<PickleNone>() != nullptr) return nullptr;
    if (const auto scalar = file_.ScalarOf(value)) return OfScalar(value, *scalar);
    if (const auto* sequence = value.If<PickleSequence>()) return OfSequence(*sequence);
    if (const auto* dict = value.If<PickleDict>()) return OfDict(*dict);
    return "<" + Printable(value, file_.ClassOf(value)) + ">";
  }

 private:
  Json OfScalar(const PickleValue& value, const PickleScalar& scalar) const {
    if (const auto* text = std::get_if<std::string>(&scalar)) return Printable(value, *text);
    return std::visit([](const auto& number) { return Json(number); }, scalar);
  }

  Json OfSequence(const PickleSequence& sequence) {
    Json list = Json::array();
    for (const PickleRef item : sequence.items) list.push_back(Of(*item));
    return list;
  }

  Json OfDict(const PickleDict& dict) {
    Json object = Json::object();
    for (const auto& [key, item] : dict.items) {
      const std::string& text = TextOf(file_.name(), *key, "a key of " + std::string(what_));
      object[Printable(*key, text)] = Of(*item);
    }
    return object;
  }

  std::string Printable(const PickleValue& value, const std::string& text) const {
    GAS_CHECK(IsUtf8(text), Errc::kBadFile, PlaceOf(file_.name(), value), ": a text of ", what_,
              " is not UTF-8");
    return text;
  }

  const TorchFile& file_;
  std::string_view what_;
  size_t count_ = 0;
};

}  // namespace

Json PlainJson(const TorchFile& file, const PickleValue& value, std::string_view what) {
  return JsonWalk(file, what).Of(value);
}

}  // namespace gas
