// Teacher data: noises, samples and labels of a long solver run, in a folder of shards (docs/formats.md).
#ifndef GAS_TEACHER_TEACHER_H_
#define GAS_TEACHER_TEACHER_H_

#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/teacher_data.h"
#include "gas/teacher/teacher_spec.h"
#include "gas/teacher/write_teacher_data.h"

namespace gas {

// CollectSamples of seeds with nothing else asked for: a class is drawn for each.
inline Samples RunTeacher(const Model& model, const StepTable& table, const std::vector<Seed>& seeds,
                          bool states, int64_t batch,
                          const std::function<void(int64_t done)>& progress = {}) {
  return CollectSamples(model, table, RequestsFor(seeds),
                        {.batch = batch, .keep_states = states, .progress = progress});
}

}  // namespace gas

#endif  // GAS_TEACHER_TEACHER_H_
