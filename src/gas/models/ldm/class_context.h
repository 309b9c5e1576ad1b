// Class labels as a context that a U-Net attends to.
#ifndef GAS_MODELS_LDM_CLASS_CONTEXT_H_
#define GAS_MODELS_LDM_CLASS_CONTEXT_H_

#include <memory>

#include "gas/models/encoder_features.h"
#include "gas/schedule/denoiser.h"

namespace gas::ldm {

// One row for each class (the reference's ClassEmbedder). Its parameter is embedding.weight [classes,D].
struct ClassEmbedder : torch::nn::Module {
  ClassEmbedder(int64_t classes, int64_t width);
  // labels [B] int64, -1 for the last row -> [B,1,D]: contexts of one token.
  Tensor forward(const Tensor& labels);
  // The condition with a context for each of `batch` samples, by their labels; without labels it is that of
  // -1.
  Condition WithContext(const Condition& condition, int64_t batch);

 private:
  Tensor weight_;
};

// A denoiser that is told the context of Condition::labels, its classes.
class ClassContextDenoiser : public Denoiser {
 public:
  ClassContextDenoiser(std::shared_ptr<const Denoiser> inner, std::shared_ptr<ClassEmbedder> classes)
      : inner_(std::move(inner)), classes_(std::move(classes)) {}
  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    return inner_->Predict(x, at, classes_->WithContext(condition, x.size(0)));
  }

 private:
  std::shared_ptr<const Denoiser> inner_;
  std::shared_ptr<ClassEmbedder> classes_;
};

// The same of its encoder.
class ClassContextEncoder : public EncoderFeatures {
 public:
  ClassContextEncoder(std::shared_ptr<const EncoderFeatures> inner, std::shared_ptr<ClassEmbedder> classes)
      : inner_(std::move(inner)), classes_(std::move(classes)) {}
  std::vector<Tensor> Maps(const Tensor& states, double sigma, const Condition& condition) const override {
    return inner_->Maps(states, sigma, classes_->WithContext(condition, states.size(0)));
  }
  std::vector<int64_t> shape() const override { return inner_->shape(); }
  double data_std() const override { return inner_->data_std(); }
  torch::TensorOptions options() const override { return inner_->options(); }

 private:
  std::shared_ptr<const EncoderFeatures> inner_;
  std::shared_ptr<ClassEmbedder> classes_;
};

}  // namespace gas::ldm

#endif  // GAS_MODELS_LDM_CLASS_CONTEXT_H_
