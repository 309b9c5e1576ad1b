// Options of the command line. An option is one row: parser, help, docs/options.md, manual page, completion,
// configuration file and run record all come out of it.
#ifndef GAS_CLI_OPTIONS_H_
#define GAS_CLI_OPTIONS_H_

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/enum_names.h"

namespace gas::cli {

enum class OptType { kText, kInt, kReal, kFlag, kChoice };

struct OptionRow {
  const char* key;   // in configuration files and run records: "train.lr"
  const char* flag;  // "--lr"; without dashes it is a positional argument
  OptType type;
  std::string def;          // default as text; "" for none
  double min = 0, max = 0;  // of numbers; both 0: no bound
  std::string help;
  std::span<const Choice> choices = {};  // of kChoice: what it may be
  const char* value = "";  // what a text stands for in help and completion (value_names.h): "FILE", "SOLVER"
  const char* only = "";   // which runs use it, "" for all: "with --method gas"
  const char* group = "";  // heading in help; "": that of the key's first word
};

// The row of an option that only some runs of a verb use.
OptionRow Only(const char* which, OptionRow row);
// The row of an option without a default; `otherwise` says what holds then.
OptionRow NoDefault(const char* otherwise, OptionRow row);

// A default that stands in a struct of the library, as text.
std::string DefaultOf(int64_t value);
std::string DefaultOf(double value);
inline std::string DefaultOf(std::string_view name) { return std::string(name); }

// The resolved options of one run, with where each value came from.
// One list after the other.
std::vector<OptionRow> JoinedRows(std::initializer_list<std::vector<OptionRow>> lists);

class Options {
 public:
  // Defaults of `rows`.
  explicit Options(std::vector<OptionRow> rows);

  // Sets a value after checking type, bounds and choices; throws Error(kBadOption) naming key, value and
  // bound.
  void Set(const std::string& key, const std::string& text, const std::string& origin);
  // Reads a JSON object of keys, flat or nested; an unknown key is an error that names the nearest one.
  void ReadConfig(const std::string& path);

  // Each notes that the run uses this option.
  const std::string& Text(std::string_view key) const;
  std::optional<std::string> TextIfGiven(std::string_view key) const;  // also an empty one
  int64_t Int(std::string_view key) const;
  std::optional<int64_t> OptionalInt(std::string_view key) const;  // of a row whose default is ""
  double Real(std::string_view key) const;
  std::optional<double> RealIfGiven(std::string_view key) const;  // of a row without a default
  bool Flag(std::string_view key) const;
  std::vector<int64_t> IntList(std::string_view key) const;  // "4,5,6"
  template <class E, size_t N>
  E Enum(std::string_view key, const EnumNames<E, N>& names) const {
    return names.FromName(Text(key));
  }

  // Throws Error(kBadOption) naming what was given, on the command line or in a file, and that nothing has
  // read: this run does not use it.
  void CheckAllRead() const;

  // "key = value   (origin)" lines, as --dry-run prints them.
  std::string Describe() const;
  nlohmann::json ToJson() const;  // {key: {"value": ..., "from": ...}}

 private:
  struct Value {
    std::string text, origin;
    mutable bool read = false;  // reading a value changes nothing that a reader could see
  };
  const OptionRow& Row(std::string_view key) const;
  const Value& At(std::string_view key) const;

  std::vector<OptionRow> rows_;
  std::map<std::string, Value, std::less<>> values_;
};

// What a verb does once its options are read. The Options outlive it.
using Work = std::function<void()>;

// A verb of the command line: `gas NAME [options]`.
struct Verb {
  const char* name;
  const char* summary;
  const char* example;
  std::vector<OptionRow> rows;
  // Reads every option that this run uses and returns the work; writes nothing and computes nothing. An
  // option that was given and is not read here is an error before the work begins, and --dry-run ends here.
  std::function<Work(const Options&)> plan;
  // Said after an interrupt, "" for nothing: what is kept.
  const char* when_interrupted = "";
  // Says what the run that the plan describes would need; --dry-run prints it after the options. Empty:
  // nothing is said.
  std::function<std::string(const Options&)> forecast = {};
};

// Of verbs that go on from what they have left.
inline constexpr const char* kSameCommandGoesOn = "what is finished is kept, and the same command goes on";

}  // namespace gas::cli

#endif  // GAS_CLI_OPTIONS_H_
