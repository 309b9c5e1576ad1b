// How many seeds a range of a new teacher folder has, where nobody asks for a number.
#ifndef GAS_TEACHER_SHARD_SIZE_H_
#define GAS_TEACHER_SHARD_SIZE_H_

#include <cstdint>

#include "gas/models/model.h"
#include "gas/solver/step_table.h"

namespace gas {

inline constexpr int64_t kMostInAShard = 256;
// What an interruption may cost: the samples of a range are written together.
inline constexpr double kSecondsOfAShard = 60;

// The largest power of two, at most kMostInAShard, of which so many samples take kSecondsOfAShard when one
// takes `seconds_per_sample`; at least 1.
int64_t ShardSizeFor(double seconds_per_sample);

// The same for samples by `table`, from the time of one evaluation of one sample, the second of two. Batches
// are faster, so that shards take less than a minute rather than more.
int64_t MeasuredShardSize(const Model& model, const StepTable& table);

}  // namespace gas

#endif  // GAS_TEACHER_SHARD_SIZE_H_
