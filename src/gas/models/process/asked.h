// What a derivative needs again of a request to processes.
#ifndef GAS_MODELS_PROCESS_ASKED_H_
#define GAS_MODELS_PROCESS_ASKED_H_

#include <memory>
#include <utility>

#include "gas/core/torch.h"
#include "gas/models/process/process_pool.h"

namespace gas {

// The processes, which it keeps alive, and what they were asked. Goes into the data that an autograd function
// saves, by a capsule.
template <class Question>
struct Asked : torch::CustomClassHolder {
  Asked(std::shared_ptr<const ProcessPool> asked_pool, Question asked_question)
      : pool(std::move(asked_pool)), question(std::move(asked_question)) {}
  std::shared_ptr<const ProcessPool> pool;
  Question question;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_ASKED_H_
