// The order in which training samples come.
#ifndef GAS_TRAIN_DATA_ORDER_H_
#define GAS_TRAIN_DATA_ORDER_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace gas {

// How samples lie where they are read from: in blocks, each of which is read whole.
struct DataLayout {
  std::vector<int64_t> blocks;  // samples of each block, in the order of their indices
  int64_t window = 0;           // samples that may be kept in memory; 0: all

  int64_t size() const;
  // Of samples [begin, end) alone.
  DataLayout Part(int64_t begin, int64_t end) const;
};

// An endless sequence of shuffled passes over all samples, a function of (layout, seed, position) alone, so
// that no order has to be stored. Where not all samples fit into a window, a pass shuffles the blocks, and
// then the samples within each window of that order: few blocks are in use at a time, and none is read again
// and again.
class DataOrder {
 public:
  DataOrder(DataLayout layout, uint64_t seed);

  // Positions [iteration * batch, (iteration + 1) * batch) of the sequence: indices in [0, size).
  std::vector<int64_t> Batch(int64_t iteration, int64_t batch);

 private:
  void Shuffle(int64_t pass);

  DataLayout layout_;
  int64_t size_;
  uint64_t seed_;
  std::optional<int64_t> pass_;  // that order_ is of
  std::vector<int64_t> order_;
};

}  // namespace gas

#endif  // GAS_TRAIN_DATA_ORDER_H_
