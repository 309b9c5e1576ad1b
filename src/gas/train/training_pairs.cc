#include "gas/train/training_pairs.h"

namespace gas {
namespace {

DataLayout LayoutOf(const TeacherData& data) {
  return {.blocks = data.blocks(),
          .window = std::max<int64_t>(1, kShuffleWindowBytes / data.bytes_per_sample())};
}

}  // namespace

TrainingPairs PairsOf(const TeacherData& data) { return PairsOf(data, 0, data.size()); }

TrainingPairs PairsOf(const TeacherData& data, int64_t begin, int64_t end) {
  return {LayoutOf(data).Part(begin, end), [&data, begin](const std::vector<int64_t>& indices) {
            std::vector<int64_t> shifted = indices;
            for (int64_t& index : shifted) index += begin;
            return data.Read(shifted);
          }};
}

TrainingPairs PairsOf(Samples samples) {
  const int64_t size = samples.noise.size(0);
  return {{.blocks = {size}}, [samples = std::move(samples)](const std::vector<int64_t>& indices) {
            const Tensor rows = torch::tensor(indices, torch::kInt64);
            return Samples{samples.noise.index_select(0, rows),
                           samples.images.index_select(0, rows),
                           samples.condition.Select(rows),
                           {},
                           {}};
          }};
}

}  // namespace gas
