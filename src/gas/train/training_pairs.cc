#include "gas/train/training_pairs.h"

namespace gas {

TrainingPairs PairsOf(const TeacherData& data) { return PairsOf(data, 0, data.size()); }

TrainingPairs PairsOf(const TeacherData& data, int64_t begin, int64_t end) {
  return {end - begin, [&data, begin](const std::vector<int64_t>& indices) {
            std::vector<int64_t> shifted = indices;
            for (int64_t& index : shifted) index += begin;
            return data.Read(shifted);
          }};
}

TrainingPairs PairsOf(Samples samples) {
  const int64_t size = samples.noise.size(0);
  return {size, [samples = std::move(samples)](const std::vector<int64_t>& indices) {
            const Tensor rows = torch::tensor(indices, torch::kInt64);
            const auto pick = [&](const Tensor& all) {
              return all.defined() ? all.index_select(0, rows) : Tensor();
            };
            return Samples{pick(samples.noise), pick(samples.images), pick(samples.labels), {}, {}};
          }};
}

}  // namespace gas
