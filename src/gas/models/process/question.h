// What one evaluation of a network, or its derivative, asks of the processes.
#ifndef GAS_MODELS_PROCESS_QUESTION_H_
#define GAS_MODELS_PROCESS_QUESTION_H_

#include <optional>

#include "gas/models/process/process_pool.h"

namespace gas {

// All on the CPU and contiguous.
struct ProcessQuestion {
  double t = 0, alpha = 0, sigma = 0;
  std::optional<double> guidance = {};  // the scale, for a process that is told it
  Tensor state;                         // [B,...] of the process's dtype
  Tensor labels = {};                   // [B] int64; undefined where none are sent
  Tensor requests = {};                 // [B,n] uint8, process_conditioner.h; undefined without texts
};

struct QuestionGradient {
  Tensor state;  // [B,...] float32
  Tensor level;  // [B,3] float64: by t, alpha and sigma, of each sample
};

// F, of the state's shape and dtype.
Tensor OutputOf(const ProcessPool& pool, const ProcessQuestion& question);

// The sum of F times output_gradient [B,...] float32, differentiated.
QuestionGradient GradientOf(const ProcessPool& pool, const ProcessQuestion& question,
                            const Tensor& output_gradient);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_QUESTION_H_
