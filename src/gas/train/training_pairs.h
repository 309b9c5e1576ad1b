// The samples that a training run reads.
#ifndef GAS_TRAIN_TRAINING_PAIRS_H_
#define GAS_TRAIN_TRAINING_PAIRS_H_

#include <functional>
#include <vector>

#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/teacher_data.h"
#include "gas/train/data_order.h"

namespace gas {

// Of a shuffled pass over data on disk, at most so much is in use at a time.
inline constexpr int64_t kShuffleWindowBytes = int64_t{512} << 20;

// Pairs of a noise and the teacher's sample of it; `indices` are in [0, size).
struct TrainingPairs {
  DataLayout layout = {};
  int64_t size() const { return layout.size(); }
  std::function<Samples(const std::vector<int64_t>& indices)> read;
};

// The data must outlive the pairs.
TrainingPairs PairsOf(const TeacherData& data);
// Samples [begin, end) of the data alone.
TrainingPairs PairsOf(const TeacherData& data, int64_t begin, int64_t end);
TrainingPairs PairsOf(Samples samples);

}  // namespace gas

#endif  // GAS_TRAIN_TRAINING_PAIRS_H_
