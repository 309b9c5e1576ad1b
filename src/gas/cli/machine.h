// Settings of the process that make LibTorch run at the machine's speed.
#ifndef GAS_CLI_MACHINE_H_
#define GAS_CLI_MACHINE_H_

#include <cstdint>

namespace gas::cli {

// Called by verbs that compute, before they do. Keeps freed memory for the next tensor, but for blocks of
// 32 MiB and more; where OpenBLAS took
// an old generic kernel for a processor that it does not know, makes it take the right one
// (OPENBLAS_CORETYPE in the environment is respected); where a small convolution by oneDNN differs from
// LibTorch's own, says so and does without it.
void PrepareMachine();

// Threads of this process, those of OpenBLAS included; 0 for as many as there are cores.
void SetThreads(int64_t count);

}  // namespace gas::cli

#endif  // GAS_CLI_MACHINE_H_
