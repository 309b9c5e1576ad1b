#include "gas/cli/run.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/torch.h"

namespace gas::cli {
namespace {

constexpr const char* kIntroduction =
    "gas: few-step samplers for pretrained diffusion and flow models.\n"
    "The network stays frozen; the solver is learned. Start with: gas demo";

std::string DefaultText(const OptionRow& row) {
  if (row.type == OptType::kFlag) return "";
  return row.def[0] == '\0' ? "" : fmt::format(" [{}]", row.def);
}

// Values as the parser saw them, by row.
struct Parsed {
  std::vector<std::string> text;
  std::vector<char> flag;
  std::string config;
  bool dry_run = false;
};

void AddRows(CLI::App& app, const Verb& verb, Parsed& parsed) {
  parsed.text.resize(verb.rows.size());
  parsed.flag.resize(verb.rows.size());
  for (size_t i = 0; i < verb.rows.size(); ++i) {
    const OptionRow& row = verb.rows[i];
    const std::string help = row.help + DefaultText(row);
    if (row.type == OptType::kFlag) {
      app.add_flag_callback(
          row.flag, [&parsed, i] { parsed.flag[i] = 1; }, help);
    } else {
      app.add_option(row.flag, parsed.text[i], help)
          ->option_text(row.type == OptType::kText  ? "TEXT"
                        : row.type == OptType::kInt ? "INT"
                                                    : "REAL");
    }
  }
  app.add_option("--config", parsed.config, "JSON file of options by key; the command line wins")
      ->option_text("FILE");
  app.add_flag("--dry-run", parsed.dry_run, "print the resolved options with where each came from, and stop");
  app.footer(std::string("Example: ") + verb.example);
}

Options Resolve(const CLI::App& app, const Verb& verb, const Parsed& parsed) {
  Options options(verb.rows);
  for (size_t i = 0; i < verb.rows.size(); ++i) {
    const OptionRow& row = verb.rows[i];
    if (row.type == OptType::kFlag) {
      if (parsed.flag[i]) options.Set(row.key, "true", "command line");
    } else if (app.count(row.flag) > 0) {
      options.Set(row.key, parsed.text[i], "command line");
    }
  }
  if (!parsed.config.empty()) options.ReadConfig(parsed.config);
  return options;
}

// CLI11's complaint about an unknown option, with the nearest one that exists.
[[noreturn]] void FailParse(const CLI::ParseError& error, const Verb& verb, int argc, char** argv) {
  std::vector<std::string> flags = {"--config", "--dry-run", "--help"};
  for (const OptionRow& row : verb.rows) flags.emplace_back(row.flag);
  for (int i = 2; i < argc; ++i) {
    const std::string given = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (given.starts_with("--") && std::find(flags.begin(), flags.end(), given) == flags.end()) {
      Fail(Errc::kBadOption, "gas ", verb.name, ": unknown option ", given, ", did you mean ",
           NearestName(given, flags), "?");
    }
  }
  Fail(Errc::kBadOption, "gas ", verb.name, ": ", error.what());
}

void PrintHelp(const std::vector<Verb>& verbs) {
  std::cout << kIntroduction << "\n\nUsage: gas VERB [options]    gas VERB --help\n\n";
  for (const Verb& verb : verbs) std::cout << fmt::format("  {:<9} {}\n", verb.name, verb.summary);
}

void RunVerb(const Verb& verb, int argc, char** argv) {
  CLI::App app(verb.summary, std::string("gas ") + verb.name);
  Parsed parsed;
  AddRows(app, verb, parsed);
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return;
  } catch (const CLI::ParseError& error) {
    FailParse(error, verb, argc, argv);
  }
  const Options options = Resolve(app, verb, parsed);
  if (parsed.dry_run) {
    std::cout << options.Describe();
    return;
  }
  verb.run(options);
}

}  // namespace

std::vector<Verb> AllVerbs() {
  return {DemoVerb(),  ModelsVerb(), PretrainVerb(), TeacherVerb(), FitVerb(),
          TrainVerb(), SampleVerb(), EvalVerb(),     InspectVerb(), BenchVerb()};
}

std::string OptionsAsMarkdown() {
  std::string text =
      "# Options\n\nMade by `gas help --markdown` from the rows that the parser itself uses. Every verb also "
      "has\n"
      "`--config FILE` (JSON by key), `--dry-run` and `--help`.\n";
  for (const Verb& verb : AllVerbs()) {
    text += fmt::format("\n## gas {}\n\n{}\n\n    {}\n\n", verb.name, verb.summary, verb.example);
    if (!verb.rows.empty()) text += "| option | key | default | meaning |\n|---|---|---|---|\n";
    for (const OptionRow& row : verb.rows) {
      text += fmt::format("| `{}` | `{}` | {} | {} |\n", row.flag, row.key,
                          row.type == OptType::kFlag ? "off" : row.def, row.help);
    }
  }
  return text;
}

int Run(int argc, char** argv) {
  const std::vector<Verb> verbs = AllVerbs();
  const std::string name = argc > 1 ? argv[1] : "help";
  if (name == "help" || name == "--help" || name == "-h") {
    if (argc > 2 && std::string(argv[2]) == "--markdown") {
      std::cout << OptionsAsMarkdown();
    } else {
      PrintHelp(verbs);
    }
    return 0;
  }
  if (name == "version" || name == "--version") {
    std::cout << "gas " GAS_VERSION ", LibTorch " TORCH_VERSION "\n";
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    names.emplace_back(verb.name);
    if (name != verb.name) continue;
    RunVerb(verb, argc, argv);
    std::cout.flush();
    GAS_CHECK(std::cout.good(), Errc::kIo, "standard output: could not be written");
    return 0;
  }
  Fail(Errc::kBadOption, "gas ", name, ": unknown verb, did you mean ", NearestName(name, names), "?");
}

}  // namespace gas::cli
