#include "gas/cli/run.h"

#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>

#include "gas/cli/help.h"
#include "gas/cli/machine.h"
#include "gas/cli/option_text.h"
#include "gas/cli/reference.h"
#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/nearest.h"
#include "gas/core/torch.h"

namespace gas::cli {
namespace {

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
    if (row.type == OptType::kFlag) {
      app.add_flag_callback(row.flag, [&parsed, i] { parsed.flag[i] = 1; });
    } else {
      app.add_option(row.flag, parsed.text[i]);
    }
  }
  app.add_option("--config", parsed.config);
  app.add_flag("--dry-run", parsed.dry_run);
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
  std::vector<std::string> flags;
  for (const OptionRow& row : CommonRows()) flags.emplace_back(row.flag);
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

// run.threads, of the verbs that compute.
std::optional<int64_t> ReadThreads(const Verb& verb, const Options& options) {
  for (const OptionRow& row : verb.rows) {
    if (std::string_view(row.key) == "run.threads") return options.Int(row.key);
  }
  return std::nullopt;
}

// Does the work. SIGINT and SIGTERM end it where nothing is lost, in an error with a status of their own.
void Do(const Work& work, const Verb& verb) {
  try {
    work();
    CheckNeverInterrupted();
  } catch (const Error& error) {
    if (!IsInterrupt(error) || verb.when_interrupted[0] == '\0') throw;
    Fail(error.code(), error.what(), "; ", verb.when_interrupted);
  }
}

void RunVerb(const Verb& verb, int argc, char** argv) {
  CLI::App app(verb.summary, std::string("gas ") + verb.name);
  Parsed parsed;
  AddRows(app, verb, parsed);
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::CallForHelp&) {
    std::cout << HelpOf(verb);
    return;
  } catch (const CLI::ParseError& error) {
    FailParse(error, verb, argc, argv);
  }
  const Options options = Resolve(app, verb, parsed);
  const std::optional<int64_t> threads = ReadThreads(verb, options);
  const Work work = verb.plan(options);
  options.CheckAllRead();
  if (parsed.dry_run) {
    std::cout << options.Describe() << std::flush;
    if (!verb.forecast) return;
  }
  if (threads) {
    PrepareMachine();
    SetThreads(*threads);
  }
  if (parsed.dry_run) {
    std::cout << verb.forecast(options) << '\n';
  } else {
    Do(work, verb);
  }
}

const Verb& VerbNamed(const std::string& name, const std::vector<Verb>& verbs) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    if (name == verb.name) return verb;
    names.emplace_back(verb.name);
  }
  Fail(Errc::kBadOption, "gas ", name, ": unknown verb, did you mean ", NearestName(name, names), "?");
}

// gas help [VERB | --markdown | --man].
void PrintHelp(const std::string& topic, const std::vector<Verb>& verbs) {
  if (topic.empty()) {
    std::cout << Overview(verbs);
  } else if (topic == "--markdown") {
    std::cout << OptionsAsMarkdown(verbs);
  } else if (topic == "--man") {
    std::cout << ManualPage(verbs);
  } else {
    std::cout << HelpOf(VerbNamed(topic, verbs));
  }
}

}  // namespace

std::vector<Verb> AllVerbs() {
  return {DemoVerb(),   ModelsVerb(),  SolversVerb(), GridsVerb(),     PretrainVerb(), TeacherVerb(),
          FitVerb(),    TrainVerb(),   ImportVerb(),  SampleVerb(),    EvalVerb(),     ExportVerb(),
          CopiesVerb(), InspectVerb(), BenchVerb(),   CompletionVerb()};
}

int Run(int argc, char** argv) {
  const std::vector<Verb> verbs = AllVerbs();
  const std::string name = argc > 1 ? argv[1] : "help";
  if (name == "help" || name == "--help" || name == "-h") {
    PrintHelp(argc > 2 ? argv[2] : "", verbs);
  } else if (name == "version" || name == "--version") {
    std::cout << "gas " GAS_VERSION ", LibTorch " TORCH_VERSION "\n";
  } else {
    RunVerb(VerbNamed(name, verbs), argc, argv);
  }
  std::cout.flush();
  GAS_CHECK(std::cout.good(), Errc::kIo, "standard output: could not be written");
  return 0;
}

}  // namespace gas::cli
