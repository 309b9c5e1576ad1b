// Whether two tables are the same solver.
#ifndef GAS_TEACHER_TABLE_HASH_H_
#define GAS_TEACHER_TABLE_HASH_H_

#include <string>

#include "gas/solver/step_table.h"

namespace gas {

// SHA-256 (lower-case hexadecimal) over all numbers of the table, its basis and its start; not its name. Each
// tensor is rounded to 2^-24 of its largest entry, so that the last bits, in which two machines' logarithms
// differ, do not make another solver.
std::string TableHash(const StepTable& table);

}  // namespace gas

#endif  // GAS_TEACHER_TABLE_HASH_H_
