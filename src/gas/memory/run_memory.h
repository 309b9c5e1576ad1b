// The most memory that a run will hold at once: the program, its model, and what a batch needs on top.
#ifndef GAS_MEMORY_RUN_MEMORY_H_
#define GAS_MEMORY_RUN_MEMORY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "gas/memory/network_memory.h"
#include "gas/models/model.h"

namespace gas {

// What is known of a model that was opened for a run. All in bytes, on the model's device: of a CPU the
// resident memory of the process, of another device the tensors on it.
struct ModelMemory {
  torch::Device device = torch::kCPU;
  int64_t held = 0;  // the program and the weights
  NetworkMemory network;
  DecoderMemory decoder;  // of a forward pass
  int64_t state = 0;      // one state, float32
};

// Evaluates the network a few times (MeasureNetwork); with a forward pass the decoder too. Of a network in
// another process, what that process holds is not seen.
ModelMemory MeasureModel(const Model& model, Passes passes, int64_t largest_batch);

// What a sampling keeps beside the batch at hand.
struct SamplingNeeds {
  int64_t batch = 1;
  bool images = true;      // whether states are decoded, of models with a codec
  int64_t kept_bytes = 0;  // of what is gathered until the end
  int64_t encoding = 0;    // the most at once while an image to begin from is encoded, before all else
};
int64_t SamplingBytes(const ModelMemory& model, const SamplingNeeds& needs);

// What a training step needs beside the network.
struct BesideNetwork {
  int64_t held = 0;  // from the first step on: a discriminator with its optimiser, features of the teacher
  int64_t per_sample = 0;        // while the activations are alive: losses and their graphs
  int64_t alone_per_sample = 0;  // while they are not: a step of the discriminator
};
// A step on `part` samples at once that keeps the activations of `kept` evaluations.
int64_t TrainingBytes(const ModelMemory& model, const BesideNetwork& beside, int64_t part, int64_t kept);

// What a fit keeps and computes with.
struct FitNeeds {
  int64_t batch = 64;
  int64_t states_of_each = 0;  // states, predictions, noise and sample of a trajectory
  int64_t kept = 0;            // trajectories in memory all the time
  bool made_now = false;       // by the run, which has them twice for a moment
  int64_t evaluations = 4;     // of the largest table
  int64_t unknowns = 0;        // of the largest system of equations
  int64_t fitted = 0;          // trajectories whose network outputs are kept between rows
  int64_t cache_bytes = 0;     // the most that those outputs may take
};
int64_t FitBytes(const ModelMemory& model, const FitNeeds& needs);

// The largest of `asked`, half of it, a quarter, ..., and at last `least` samples at once that `bytes_of`
// says to fit into `limit` bytes. Throws Error(kBadOption) if not even the last do, naming what they take.
int64_t LargestBatch(int64_t asked, int64_t least, int64_t limit,
                     const std::function<int64_t(int64_t batch)>& bytes_of);

// "1.23 GiB", or "345 MiB" below one.
std::string MemoryText(int64_t bytes);

}  // namespace gas

#endif  // GAS_MEMORY_RUN_MEMORY_H_
