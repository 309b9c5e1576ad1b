// The order in which training samples come.
#ifndef GAS_TRAIN_DATA_ORDER_H_
#define GAS_TRAIN_DATA_ORDER_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace gas {

// An endless sequence of shuffled passes over `size` samples, a function of (seed, position) alone, so that
// no order has to be stored.
class DataOrder {
 public:
  DataOrder(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}

  // Positions [iteration * batch, (iteration + 1) * batch) of the sequence: indices in [0, size).
  std::vector<int64_t> Batch(int64_t iteration, int64_t batch);

 private:
  void Shuffle(int64_t pass);

  int64_t size_;
  uint64_t seed_;
  std::optional<int64_t> pass_;  // that order_ is of
  std::vector<int64_t> order_;
};

}  // namespace gas

#endif  // GAS_TRAIN_DATA_ORDER_H_
