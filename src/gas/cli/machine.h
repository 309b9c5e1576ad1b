// Settings of the process that make LibTorch run at the machine's speed.
#ifndef GAS_CLI_MACHINE_H_
#define GAS_CLI_MACHINE_H_

namespace gas::cli {

// Called by verbs that compute, before they do. Keeps freed memory for the next tensor. Where a library has made a choice
// at load time that is slow (OpenBLAS: an old generic kernel for a processor that it does not know) or wrong (oneDNN 3.6:
// convolutions that a comparison with LibTorch's own finds wrong), starts the program once more with a better one.
// OPENBLAS_CORETYPE and ONEDNN_MAX_CPU_ISA in the environment are respected.
void PrepareMachine();

// Threads of this process, those of OpenBLAS included.
void SetThreads(int count);

// The most memory that this process has held, resident.
double PeakMebibytes();

}  // namespace gas::cli

#endif  // GAS_CLI_MACHINE_H_
