#include "gas/train/data_order.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "gas/core/seeds.h"

namespace gas {
namespace {

// Fisher and Yates' shuffle; `state` goes on.
void ShuffleInPlace(std::span<int64_t> items, uint64_t& state) {
  for (size_t i = items.size(); i > 1; --i) {
    state = MixBits(state);
    std::swap(items[i - 1], items[state % i]);
  }
}

}  // namespace

int64_t DataLayout::size() const { return std::accumulate(blocks.begin(), blocks.end(), int64_t{0}); }

DataLayout DataLayout::Part(int64_t begin, int64_t end) const {
  DataLayout part{.blocks = {}, .window = window};
  int64_t first = 0;  // index of the block's first sample
  for (const int64_t samples : blocks) {
    const int64_t inside = std::min(first + samples, end) - std::max(first, begin);
    if (inside > 0) part.blocks.push_back(inside);
    first += samples;
  }
  return part;
}

DataOrder::DataOrder(DataLayout layout, uint64_t seed)
    : layout_(std::move(layout)), size_(layout_.size()), seed_(seed) {
  if (layout_.window <= 0) layout_.window = size_;
}

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
  uint64_t state = MixBits(seed_) ^ MixBits(static_cast<uint64_t>(pass) + 1);

  // The blocks, shuffled unless one window holds them all.
  std::vector<int64_t> blocks(layout_.blocks.size());
  std::iota(blocks.begin(), blocks.end(), int64_t{0});
  if (layout_.window < size_) ShuffleInPlace(blocks, state);

  // Their samples, one block after the other.
  std::vector<int64_t> first(blocks.size());
  std::exclusive_scan(layout_.blocks.begin(), layout_.blocks.end(), first.begin(), int64_t{0});
  order_.clear();
  for (const int64_t block : blocks) {
    for (int64_t i = 0; i < layout_.blocks[block]; ++i) order_.push_back(first[block] + i);
  }

  // Shuffled within each window.
  for (int64_t begin = 0; begin < size_; begin += layout_.window) {
    const int64_t count = std::min(layout_.window, size_ - begin);
    ShuffleInPlace(std::span<int64_t>(order_).subspan(begin, count), state);
  }
}

}  // namespace gas
