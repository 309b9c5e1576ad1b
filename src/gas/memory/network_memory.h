// What evaluations of a network take, measured by making a few.
#ifndef GAS_MEMORY_NETWORK_MEMORY_H_
#define GAS_MEMORY_NETWORK_MEMORY_H_

#include <cstdint>

#include "gas/models/model.h"

namespace gas {

// Bytes as a function of how many samples there are.
struct BatchBytes {
  int64_t once = 0;        // for each part of a batch that is computed at the same time
  int64_t per_sample = 0;  // more for each sample

  // Of a batch on `device`, divided among threads as models/batch_parallel.h divides it.
  int64_t Of(int64_t batch, torch::Device device) const;
};

// From the bytes that one sample takes and those of `count` samples, more than one. If these take more than
// so many times one, `count` samples take what was measured and fewer a share of it.
BatchBytes LineThrough(int64_t bytes_of_one, int64_t count, int64_t bytes_of_count);

struct NetworkMemory {
  BatchBytes forward;  // the most at once, of an evaluation without gradients
  // Of an evaluation with gradients:
  BatchBytes kept;      // what it leaves to its backward pass
  BatchBytes backward;  // the most at once beside that, from its begin to the end of its backward pass
};

enum class Passes { kForward, kBackward, kBoth };

// On a GPU an evaluation of one sample, for what libraries allocate at the first and keep, their workspaces;
// on a CPU nothing.
void MakeFirstEvaluation(const Model& model, Passes passes);

// Evaluates the network on one sample, and on a few (on a GPU on `largest_batch`, or what of it there is room
// for) if batches may be larger, for the passes that are asked for; the others' bytes are 0, and those of a
// backward pass that the network does not have.
NetworkMemory MeasureNetwork(const Model& model, Passes passes, int64_t largest_batch);

// NetworkMemory::kept of one sample alone, by a single evaluation (on a GPU by a second).
int64_t ActivationBytes(const Model& model);

struct DecoderMemory {
  int64_t working = 0;  // the most at once, to decode one state; 0 without a codec
  int64_t image = 0;    // of what it makes, or of the state itself
};

DecoderMemory MeasureDecoder(const Model& model);

}  // namespace gas

#endif  // GAS_MEMORY_NETWORK_MEMORY_H_
