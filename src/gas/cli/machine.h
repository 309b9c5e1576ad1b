// Settings of the process that make LibTorch run at the machine's speed.
#ifndef GAS_CLI_MACHINE_H_
#define GAS_CLI_MACHINE_H_

namespace gas::cli {

// Called by verbs that compute, before they do. Keeps freed memory for the next tensor, and, where OpenBLAS took an old
// generic kernel for a processor that it does not know, starts the program once more with the right one (the choice is
// made at load time). OPENBLAS_CORETYPE in the environment is respected.
void PrepareMachine();

// The most memory that this process has held, resident.
double PeakMebibytes();

}  // namespace gas::cli

#endif  // GAS_CLI_MACHINE_H_
