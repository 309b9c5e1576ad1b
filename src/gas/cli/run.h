// The command line: finds the verb, parses its options, runs it.
#ifndef GAS_CLI_RUN_H_
#define GAS_CLI_RUN_H_

#include <vector>

#include "gas/cli/options.h"

namespace gas::cli {

// One function per verb, each in a file of its name.
Verb BenchVerb();
Verb CompletionVerb();
Verb CopiesVerb();
Verb DemoVerb();
Verb EvalVerb();
Verb ExportVerb();
Verb FitVerb();
Verb GridsVerb();
Verb ImportVerb();
Verb InspectVerb();
Verb ModelsVerb();
Verb PretrainVerb();
Verb SampleVerb();
Verb SolversVerb();
Verb TeacherVerb();
Verb TrainVerb();

// In the order in which help lists them.
std::vector<Verb> AllVerbs();

// Returns the exit status 0; failures are gas::Error, whose code is the status.
int Run(int argc, char** argv);

}  // namespace gas::cli

#endif  // GAS_CLI_RUN_H_
