#include "gas/cli/reference.h"

#include <fmt/format.h>

#include "gas/cli/option_text.h"
#include "gas/core/error.h"

namespace gas::cli {
namespace {

std::string MarkdownRow(const OptionRow& row) {
  const std::string only = row.only[0] == '\0' ? "" : fmt::format(", only {}", row.only);
  return fmt::format("| `{}` | `{}` | {} | {}{} |\n", row.flag, row.key,
                     row.type == OptType::kFlag ? "off" : row.def, MeaningText(row), only);
}

// Text as troff prints it: hyphens that can be copied, no line that begins with a request.
std::string Troff(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      if (escaped.empty() && (c == '.' || c == '\'')) escaped += "\\&";
      escaped += c;
    }
  }
  return escaped;
}

std::string ManualOption(const OptionRow& row) {
  const std::string value = IsPositional(row) ? "" : ValueName(row);
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", Troff(row.flag),
                     value.empty() ? "" : fmt::format(" \\fI{}\\fR", value), Troff(FullText(row)));
}

struct ExitStatus {
  int status;
  const char* meaning;
};
constexpr ExitStatus kExitStatus[] = {
    {0, "done"},
    {static_cast<int>(Errc::kInternal), "a bug of ours"},
    {static_cast<int>(Errc::kBadOption), "an option, name or combination that cannot be carried out"},
    {static_cast<int>(Errc::kBadFile),
     "a file that is unreadable, truncated, of the wrong kind, or that does not match"},
    {static_cast<int>(Errc::kIo), "the system refused to read or write"},
    {static_cast<int>(Errc::kNumeric), "NaN or infinity where a finite number must be"},
    {static_cast<int>(Errc::kUnavailable), "something that this machine lacks"},
    {static_cast<int>(Errc::kInterrupted), "interrupted by SIGINT"},
    {static_cast<int>(Errc::kTerminated), "interrupted by SIGTERM"},
};

}  // namespace

std::string OptionsAsMarkdown(std::span<const Verb> verbs) {
  std::string text =
      "# Options\n\nMade by `gas help --markdown` from the rows that the parser itself uses. Every verb also "
      "has\n"
      "`--config FILE` (JSON by key), `--dry-run` and `--help`. An option that is given, on the command line "
      "or in the\n"
      "file, and that the run does not use is an error.\n";
  for (const Verb& verb : verbs) {
    text += fmt::format("\n## gas {}\n\n{}\n\n    {}\n", verb.name, verb.summary, verb.example);
    if (!verb.rows.empty()) text += "\n| option | key | default | meaning |\n|---|---|---|---|\n";
    for (const OptionRow& row : verb.rows) text += MarkdownRow(row);
  }
  return text;
}

std::string ManualPage(std::span<const Verb> verbs) {
  std::string text = ".TH GAS 1 \"\" \"gas " GAS_VERSION
                     "\" \"User Commands\"\n"
                     ".SH NAME\ngas \\- few\\-step samplers for pretrained diffusion and flow models\n"
                     ".SH SYNOPSIS\n.B gas\n.I VERB\n[options]\n"
                     ".SH DESCRIPTION\n"
                     "The network stays frozen; the solver is learned.\n"
                     "Errors go to standard error, results to standard output.\n"
                     "An option that is given and that the run does not use is an error.\n"
                     ".SH VERBS\n";
  for (const Verb& verb : verbs) {
    text += fmt::format(".SS gas {}\n{}\n", verb.name, Troff(verb.summary));
    for (const OptionRow& row : verb.rows) text += ManualOption(row);
    text += fmt::format(".PP\nExample:\n.PP\n.RS\n{}\n.RE\n", Troff(verb.example));
  }
  text += ".SH OPTIONS OF EVERY VERB\n";
  for (const OptionRow& row : CommonRows()) text += ManualOption(row);
  text += ".SH EXIT STATUS\n";
  for (const ExitStatus& row : kExitStatus) {
    text += fmt::format(".TP\n{}\n{}\n", row.status, Troff(row.meaning));
  }
  return text +
         ".SH ENVIRONMENT\n.TP\nGAS_MODELS_DIR\nfolder in which embedded models are looked for first\n";
}

}  // namespace gas::cli
