// Options of the command line. An option is one row: parser, --help, docs/options.md, configuration file and
// run record all come out of it.
#ifndef GAS_CLI_OPTIONS_H_
#define GAS_CLI_OPTIONS_H_

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace gas::cli {

enum class OptType { kText, kInt, kReal, kFlag };

struct OptionRow {
  const char* key;   // in configuration files and run records: "train.lr"
  const char* flag;  // "--lr"; without dashes it is a positional argument
  OptType type;
  const char* def;          // default as text; "" for none
  double min = 0, max = 0;  // of numbers; both 0: no bound
  const char* help;
};

// The resolved options of one run, with where each value came from.
class Options {
 public:
  // Defaults of `rows`.
  explicit Options(std::vector<OptionRow> rows);

  // Sets a value after checking type and bounds; throws Error(kBadOption) naming key, value and bound.
  void Set(const std::string& key, const std::string& text, const std::string& origin);
  // Reads a JSON object of keys, flat or nested; an unknown key is an error that names the nearest one.
  void ReadConfig(const std::string& path);

  const std::string& Text(std::string_view key) const;
  int64_t Int(std::string_view key) const;
  double Real(std::string_view key) const;
  bool Flag(std::string_view key) const;
  bool Given(std::string_view key) const;                    // not the default
  std::vector<int64_t> IntList(std::string_view key) const;  // "4,5,6"

  // "key = value   (origin)" lines, as --dry-run prints them.
  std::string Describe() const;
  nlohmann::json ToJson() const;  // {key: {"value": ..., "from": ...}}
  std::span<const OptionRow> rows() const { return rows_; }

 private:
  struct Value {
    std::string text, origin;
  };
  const OptionRow& Row(std::string_view key) const;
  const Value& At(std::string_view key) const;

  std::vector<OptionRow> rows_;
  std::map<std::string, Value, std::less<>> values_;
};

// A verb of the command line: `gas NAME [options]`.
struct Verb {
  const char* name;
  const char* summary;
  const char* example;
  std::vector<OptionRow> rows;
  std::function<void(const Options&)> run;
};

}  // namespace gas::cli

#endif  // GAS_CLI_OPTIONS_H_
