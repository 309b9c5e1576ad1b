#include "gas/io/yaml.h"

#include <charconv>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPlainTag = "?",
                           kQuotedTag = "!";  // what the parser gives for scalars without a tag
constexpr std::string_view kCoreTags = "tag:yaml.org,2002:";

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// [-+]? digits, where a leading zero stands alone: 010 is 8 to some readers and 10 to others.
bool LooksWhole(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// [-+]? digits with a point or an exponent or both.
bool LooksReal(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t exponent = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, exponent);
  if (mantissa.find_first_not_of("0123456789.") != std::string_view::npos) return false;
  const auto points = std::count(mantissa.begin(), mantissa.end(), '.');
  if (points > 1 || static_cast<size_t>(points) == mantissa.size()) return false;
  if (exponent == text.size()) return points == 1;
  std::string_view power = text.substr(exponent + 1);
  if (power.starts_with('-') || power.starts_with('+')) power.remove_prefix(1);
  return !power.empty() && power.find_first_not_of("0123456789") == std::string_view::npos;
}

// The whole text as a number; nothing if it does not fit.
template <class Number, class... Base>
std::optional<Number> NumberOf(std::string_view text, Base... base) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Builds the tree out of the parser's events, and refuses what is beyond the limits as soon as it is seen.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view name, const YamlLimits& limits) : name_(name), limits_(limits) {}

  const std::optional<Json>& root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    Check(!root_.has_value(), mark, "a second document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (AwaitsKey()) return TakeKey(mark, "");
    Add(mark, anchor, {nullptr, 1});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Check(IsUtf8(text), mark, "a text that is not UTF-8");
    if (AwaitsKey()) return TakeKey(mark, text);
    Add(mark, anchor, {Scalar(mark, tag, text), 1});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckNoKey(mark);
    const auto found = anchored_.find(anchor);
    Check(found != anchored_.end(), mark, "an alias of what contains it");
    Add(mark, 0, found->second);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, "seq", anchor, Json::array());
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, "map", anchor, Json::object());
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Value {
    Json json;
    uint64_t values = 1;  // in it, with itself
  };
  struct Level {
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    Value value;
    std::optional<std::string> key;  // of a mapping, whose value comes next
  };

  void Check(bool good, const YAML::Mark& mark, const std::string& what) const {
    GAS_CHECK(good, Errc::kBadFile, name_, ": ", what, " at line ", mark.line + 1);
  }

  bool AwaitsKey() const {
    return !open_.empty() && open_.back().value.json.is_object() && !open_.back().key;
  }

  void CheckNoKey(const YAML::Mark& mark) const { Check(!AwaitsKey(), mark, "a key that is no scalar"); }

  void TakeKey(const YAML::Mark& mark, const std::string& key) {
    Check(key != "<<", mark, "a merge key, which is not read,");
    Check(!open_.back().value.json.contains(key), mark, "the key " + Quoted(key) + " for the second time");
    open_.back().key = key;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, std::string_view kind, YAML::anchor_t anchor,
            Json empty) {
    CheckNoKey(mark);
    Check(open_.size() < static_cast<size_t>(limits_.depth), mark,
          "YAML nested more than " + std::to_string(limits_.depth) + " deep");
    const bool known = tag.empty() || tag == kPlainTag || tag == kQuotedTag ||
                       (tag.starts_with(kCoreTags) && tag.substr(kCoreTags.size()) == kind);
    Check(known, mark, "a tag of another type");
    open_.push_back({mark, anchor, {std::move(empty), 1}, {}});
  }

  void Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    // Its members have been counted already, and Add counts itself.
    count_ -= level.value.values - 1;
    Add(level.mark, level.anchor, std::move(level.value));
  }

  void Add(const YAML::Mark& mark, YAML::anchor_t anchor, Value value) {
    count_ += value.values;
    Check(count_ <= limits_.values, mark, "more than " + std::to_string(limits_.values) + " values");
    if (anchor != 0) anchored_[anchor] = value;
    if (open_.empty()) {
      root_ = std::move(value.json);
      return;
    }
    Level& parent = open_.back();
    parent.value.values += value.values;
    if (parent.value.json.is_array()) {
      parent.value.json.push_back(std::move(value.json));
    } else {
      parent.value.json[*std::exchange(parent.key, std::nullopt)] = std::move(value.json);
    }
  }

  // By the tag, or, for a plain scalar, by how it is written.
  Json Scalar(const YAML::Mark& mark, const std::string& tag, const std::string& text) const {
    if (tag == kQuotedTag) return text;
    if (tag.empty() || tag == kPlainTag) return Plain(mark, text);
    Check(tag.starts_with(kCoreTags), mark, "a tag of another type");
    const std::string_view type = std::string_view(tag).substr(kCoreTags.size());
    if (type == "str") return text;
    Json value = Plain(mark, text);
    if (type == "float" && value.is_number()) return value.get<double>();
    const bool fits = (type == "int" && value.is_number_integer()) ||
                      (type == "bool" && value.is_boolean()) || (type == "null" && value.is_null());
    Check(fits, mark, "a value that is not of its tag's type");
    return value;
  }

  Json Plain(const YAML::Mark& mark, const std::string& text) const {
    if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
    if (IsOneOf(text, {"true", "True", "TRUE"})) return true;
    if (IsOneOf(text, {"false", "False", "FALSE"})) return false;
    if (text.starts_with("0x")) {
      if (const auto number = NumberOf<int64_t>(std::string_view(text).substr(2), 16)) return *number;
      return text;
    }
    if (LooksWhole(text)) {
      if (const auto number = NumberOf<int64_t>(text)) return *number;
    }
    if (LooksWhole(text) || LooksReal(text)) {
      const auto number = NumberOf<double>(text);
      Check(number.has_value(), mark, "a number beyond the range of double");
      return *number;
    }
    return text;
  }

  std::string_view name_;
  const YamlLimits& limits_;
  std::vector<Level> open_;
  std::map<YAML::anchor_t, Value> anchored_;
  uint64_t count_ = 0;
  std::optional<Json> root_;
};

}  // namespace

Json ParseYaml(std::string_view name, std::string_view text, const YamlLimits& limits) {
  GAS_CHECK(text.size() <= limits.bytes, Errc::kBadFile, name, ": ", text.size(), " bytes of YAML, at most ",
            limits.bytes);
  GAS_CHECK(IsUtf8(text), Errc::kBadFile, name, ": YAML that is not UTF-8");
  std::istringstream stream{std::string(text)};
  Builder builder(name, limits);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& e) {
    Fail(Errc::kBadFile, name, ": not YAML at line ", e.mark.line + 1, ": ", Quoted(e.msg));
  }
  GAS_CHECK(builder.root(), Errc::kBadFile, name, ": YAML without a value");
  return *builder.root();
}

Json ReadYaml(const std::filesystem::path& path, const YamlLimits& limits) {
  const Bytes bytes = ReadFile(path, limits.bytes);
  return ParseYaml(path.string(), {bytes.data(), bytes.size()}, limits);
}

}  // namespace gas
