#include "gas/models/ldm/class_context.h"

#include "gas/nn/skeleton.h"

namespace gas::ldm {

ClassEmbedder::ClassEmbedder(int64_t classes, int64_t width) {
  const auto embedding = register_module("embedding", std::make_shared<torch::nn::Module>());
  weight_ = embedding->register_parameter("weight", nn::Parameter({classes, width}, [&] {
                                            return torch::randn({classes, width});
                                          }));
}

Tensor ClassEmbedder::forward(const Tensor& labels) {
  const Tensor rows = torch::where(labels < 0, torch::full_like(labels, weight_.size(0) - 1), labels);
  return torch::embedding(weight_, rows).unsqueeze(1);
}

Condition ClassEmbedder::WithContext(const Condition& condition, int64_t batch) {
  const Tensor labels =
      condition.labels.defined()
          ? condition.labels
          : torch::full({batch}, -1, torch::TensorOptions(weight_.device()).dtype(torch::kInt64));
  Condition with = condition;
  with.tensors["text"] = forward(labels);  // what openai_unet::ToldOf takes for a network's context
  return with;
}

}  // namespace gas::ldm
