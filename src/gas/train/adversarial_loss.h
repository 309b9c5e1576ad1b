// The losses of discriminator and student in adversarial distillation (GAS, arXiv 2510.17699).
// docs/math/gas.md
#ifndef GAS_TRAIN_ADVERSARIAL_LOSS_H_
#define GAS_TRAIN_ADVERSARIAL_LOSS_H_

#include "gas/core/enum_names.h"
#include "gas/models/discriminator.h"
#include "gas/train/augment.h"

namespace gas {

enum class AdversarialKind {
  kRelativistic,   // a real sample scores higher than a fake one: softplus(-(D(real) - D(fake)))
  kNonSaturating,  // each on its own: softplus(-D(real)) + softplus(D(fake)); Goodfellow et al. 2014
};
inline constexpr auto kAdversarialKindNames = NamesOf<AdversarialKind>(
    "adversary.loss", {{AdversarialKind::kRelativistic, "relativistic", "real above fake, in pairs"},
                       {AdversarialKind::kNonSaturating, "non-saturating", "each on its own"}});

struct AdversarialOptions {
  AdversarialKind kind = AdversarialKind::kRelativistic;
  double gamma = 0.2;        // of the gradient penalties; 0 leaves them out
  AugmentOptions augment{};  // of all that the discriminator sees, real and fake
};

// Samples of the teacher (real) or of the student (fake): images [B,...] (augmentation asks for
// [B,C,H,W]); labels [B] int64, or undefined
// for none.
struct LabelledImages {
  Tensor images, labels;
};

struct DiscriminatorLoss {
  Tensor loss;         // [], mean of adversarial + gamma/2 (r1 + r2); what the discriminator minimises
  Tensor adversarial;  // [B]
  Tensor r1, r2;       // [B], |d sum(D(real)) / d real|^2 and the same of fake; zeros if not computed
  Tensor real_logits, fake_logits;  // [B], detached

  // The share of pairs with D(real) > D(fake): 1/2 when the discriminator cannot tell them apart; at 1 it is
  // saturated: it tells all of them apart, and its gradient no longer says which are nearly right.
  double RealAboveFake() const;
};

// Differentiable in the discriminator's parameters; the samples are taken as constants. Pair i is row i of
// both, which must have one shape; they need not come from the same noise, but their labels should agree.
// Pairs are augmented alike, by random numbers of `augment` alone: what a shift or a cut does to the
// score then cancels in D(real) - D(fake), and only the content of the two is compared. The penalties take
// the gradient with respect to the samples before augmentation. They are skipped (zeros) where no gradients
// are recorded, as in an evaluation. Throws Error(kBadOption) for shapes or options that do not fit.
DiscriminatorLoss DiscriminatorLossOf(Discriminator& discriminator, const LabelledImages& real,
                                      const LabelledImages& fake, const AdversarialOptions& options,
                                      const AugmentDraw& augment = {});

struct StudentLoss {
  Tensor loss;                      // [], mean of adversarial; to be weighted by the caller
  Tensor adversarial;               // [B], softplus(-(D(fake) - D(real))), or softplus(-D(fake))
  Tensor real_logits, fake_logits;  // [B], detached; real_logits undefined for the non-saturating loss
};

// Differentiable in fake.images alone: the discriminator's parameters get no gradient.
StudentLoss StudentLossOf(Discriminator& discriminator, const LabelledImages& real,
                          const LabelledImages& fake, const AdversarialOptions& options,
                          const AugmentDraw& augment = {});

}  // namespace gas

#endif  // GAS_TRAIN_ADVERSARIAL_LOSS_H_
