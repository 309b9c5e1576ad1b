// The samples that a training run reads.
#ifndef GAS_TRAIN_TRAINING_PAIRS_H_
#define GAS_TRAIN_TRAINING_PAIRS_H_

#include <functional>
#include <vector>

#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/teacher_data.h"

namespace gas {

// Pairs of a noise and the teacher's sample of it; `indices` are in [0, size).
struct TrainingPairs {
  int64_t size = 0;
  std::function<Samples(const std::vector<int64_t>& indices)> read;
};

TrainingPairs PairsOf(const TeacherData& data);  // which must outlive the pairs
// Samples [begin, end) of the data alone.
TrainingPairs PairsOf(const TeacherData& data, int64_t begin, int64_t end);
TrainingPairs PairsOf(Samples samples);

}  // namespace gas

#endif  // GAS_TRAIN_TRAINING_PAIRS_H_
