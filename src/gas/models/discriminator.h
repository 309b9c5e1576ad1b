// What the adversarial part of training asks of a discriminator.
#ifndef GAS_MODELS_DISCRIMINATOR_H_
#define GAS_MODELS_DISCRIMINATOR_H_

#include "gas/core/torch.h"

namespace gas {

// Scores samples: the higher, the more likely drawn from the teacher. A row's score depends on that row
// alone, and is twice differentiable in the images and in the parameters, because gradient penalties are
// trained through.
class Discriminator : public torch::nn::Module {
 public:
  // images [B,C,H,W]; labels [B] int64, -1 for none, or undefined when no sample has one. Returns logits [B].
  virtual Tensor forward(const Tensor& images, const Tensor& labels) = 0;
};

}  // namespace gas

#endif  // GAS_MODELS_DISCRIMINATOR_H_
