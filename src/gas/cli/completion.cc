#include "gas/cli/completion.h"

#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/cli/option_text.h"
#include "gas/cli/run.h"
#include "gas/grid/time_grid.h"
#include "gas/models/embedded.h"
#include "gas/models/r3gan/config.h"
#include "gas/solver/registry.h"
#include "gas/train/distance.h"

namespace gas::cli {
namespace {

enum class Paths { kNone, kFiles, kFolders };

// What an option's value may be.
struct Values {
  std::vector<std::string> words;
  Paths paths = Paths::kNone;
};

Values ValuesOf(const OptionRow& row) {
  Values values;
  for (const Choice& choice : row.choices) values.words.emplace_back(choice.name);
  const std::string name = ValueName(row);
  if (name == "FOLDER") return {{}, Paths::kFolders};
  if (name == "FILE" || name == "FILES" || name == "PATH") return {{}, Paths::kFiles};
  if (name == "DEVICE") return {{"cpu", "cuda"}, Paths::kNone};
  if (name == "LOSS") return {DistanceNames(), Paths::kNone};
  if (name == "MODEL") return {EmbeddedModelNames(), Paths::kFiles};
  if (name == "DISCRIMINATOR") {
    values = {r3gan::PresetNames(), Paths::kFiles};
    values.words.insert(values.words.begin(), {"features", "r3gan"});
  }
  if (name == "GRID") {
    for (const GridInfo& grid : ListGrids()) values.words.push_back(grid.name);
    values.paths = Paths::kFiles;
  }
  if (name == "SOLVER" || name == "SOLVERS") {
    for (const SolverInfo& solver : ListSolvers()) values.words.push_back(solver.name);
    values.paths = Paths::kFiles;
  }
  return values;
}

std::string Joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::vector<OptionRow> AllRows(const Verb& verb) {
  std::vector<OptionRow> rows = verb.rows;
  rows.insert(rows.end(), CommonRows().begin(), CommonRows().end());
  return rows;
}

std::vector<std::string> NamesOfVerbs(std::span<const Verb> verbs) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs) names.emplace_back(verb.name);
  return names;
}

// Fills COMPREPLY with what begins with the word being typed.
std::string BashReply(const Values& values) {
  std::string generators;
  if (values.paths == Paths::kFiles) generators += " -f";
  if (values.paths == Paths::kFolders) generators += " -d";
  if (!values.words.empty()) generators += fmt::format(" -W '{}'", Joined(values.words));
  if (generators.empty()) return "return";
  return fmt::format("mapfile -t COMPREPLY < <(compgen{} -- \"$word\"); return", generators);
}

std::string BashScript(std::span<const Verb> verbs) {
  std::vector<std::string> first = NamesOfVerbs(verbs);
  first.insert(first.end(), {"help", "--help", "--version"});
  std::string values, options;
  for (const Verb& verb : verbs) {
    Values words;
    for (const OptionRow& row : AllRows(verb)) {
      if (IsPositional(row)) {
        const Values positional = ValuesOf(row);
        words.words.insert(words.words.end(), positional.words.begin(), positional.words.end());
        words.paths = positional.paths;
        continue;
      }
      words.words.emplace_back(row.flag);
      if (row.type == OptType::kFlag) continue;
      values += fmt::format("    '{} {}') {} ;;\n", verb.name, row.flag, BashReply(ValuesOf(row)));
    }
    options += fmt::format("    {}) {} ;;\n", verb.name, BashReply(words));
  }
  return fmt::format(R"(# bash completion of gas. Made by: gas completion bash
_gas() {{
  local word=${{COMP_WORDS[COMP_CWORD]}}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then {}; fi
  case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD - 1]}}" in
    'help help') {} ;;
{}  esac
  case "${{COMP_WORDS[1]}}" in
{}  esac
}}
complete -o filenames -F _gas gas
)",
                     BashReply({first}), BashReply({NamesOfVerbs(verbs)}), values, options);
}

// Text inside single quotes in a specification of _arguments, where brackets and colons have a meaning.
std::string ZshText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

std::string ZshAction(const Values& values) {
  if (values.paths == Paths::kFolders) return "_files -/";
  if (values.words.empty()) return values.paths == Paths::kFiles ? "_files" : " ";
  if (values.paths == Paths::kNone) return fmt::format("({})", Joined(values.words));
  return fmt::format("{{_alternative \"names\\:name\\:({})\" \"files\\:file\\:_files\"}}",
                     Joined(values.words));
}

std::string ZshOption(const OptionRow& row) {
  if (IsPositional(row)) return fmt::format("'1:{}:{}'", ZshText(row.help), ZshAction(ValuesOf(row)));
  const std::string text = fmt::format("{}[{}]", row.flag, ZshText(row.help));
  if (row.type == OptType::kFlag) return fmt::format("'{}'", text);
  return fmt::format("'{}:{}:{}'", text, ValueName(row), ZshAction(ValuesOf(row)));
}

std::string ZshScript(std::span<const Verb> verbs) {
  std::string summaries, options;
  for (const Verb& verb : verbs) {
    summaries += fmt::format("    '{}:{}'\n", verb.name, ZshText(verb.summary));
    options += fmt::format("    {}) _arguments", verb.name);
    for (const OptionRow& row : AllRows(verb)) options += " \\\n      " + ZshOption(row);
    options += " ;;\n";
  }
  return fmt::format(R"(#compdef gas
# zsh completion of gas. Made by: gas completion zsh
_gas() {{
  local -a verbs=(
{}    'help:Prints the verbs, or the options of one.'
  )
  if ((CURRENT == 2)); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  ((CURRENT--))
  case $verb in
    help) _describe verb verbs ;;
{}  esac
}}
_gas "$@"
)",
                     summaries, options);
}

Work PlanCompletion(const Options& o) {
  const Shell shell = o.Enum("completion.shell", kShellNames);
  return [shell] { std::cout << CompletionScript(shell, AllVerbs()); };
}

}  // namespace

std::string CompletionScript(Shell shell, std::span<const Verb> verbs) {
  return shell == Shell::kBash ? BashScript(verbs) : ZshScript(verbs);
}

Verb CompletionVerb() {
  return {"completion",
          "Prints a script with which a shell completes verbs, options and names.",
          "source <(gas completion bash)",
          {{.key = "completion.shell",
            .flag = "shell",
            .type = OptType::kChoice,
            .def = DefaultOf(kShellNames.NameOf(Shell::kBash)),
            .help = "whose script",
            .choices = kShellNames.choices()}},
          PlanCompletion};
}

}  // namespace gas::cli
