// Memory of this process.
#ifndef GAS_CORE_MEMORY_H_
#define GAS_CORE_MEMORY_H_

namespace gas {

// The most memory that this process has held, resident.
double PeakMebibytes();

}  // namespace gas

#endif  // GAS_CORE_MEMORY_H_
