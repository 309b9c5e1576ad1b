#include "gas/train/data_order.h"

#include <numeric>

#include "gas/core/seeds.h"

namespace gas {

std::vector<int64_t> DataOrder::Batch(int64_t iteration, int64_t batch) {
  std::vector<int64_t> indices;
  for (int64_t position = iteration * batch; position < (iteration + 1) * batch; ++position) {
    Shuffle(position / size_);
    indices.push_back(order_[position % size_]);
  }
  return indices;
}

void DataOrder::Shuffle(int64_t pass) {
  if (pass == pass_) return;
  pass_ = pass;
  order_.resize(size_);
  std::iota(order_.begin(), order_.end(), int64_t{0});
  uint64_t state = MixBits(seed_) ^ MixBits(static_cast<uint64_t>(pass) + 1);
  for (int64_t i = size_ - 1; i > 0; --i) {
    state = MixBits(state);
    std::swap(order_[i], order_[static_cast<int64_t>(state % static_cast<uint64_t>(i + 1))]);
  }
}

}  // namespace gas
