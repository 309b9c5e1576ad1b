// A pretrained model opened for sampling: network, schedule, shapes, and where it came from.
#ifndef GAS_MODELS_MODEL_H_
#define GAS_MODELS_MODEL_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gas/models/edm/precond.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

struct ModelOptions {
  double t_eps = kDefaultTEps;  // the end of sampling; EDM networks' schedule depends on it
  double guidance = 1.0;        // classifier-free guidance scale; 1: none, the conditional network alone
  bool bfloat16 = false;        // convolutions and matrix products in bfloat16
  torch::Device device = torch::kCPU;
};

struct Model {
  std::string name, sha256;
  SchedulePtr schedule;
  std::shared_ptr<const Denoiser> denoiser;  // with guidance applied
  std::vector<int64_t> shape;                // [C,H,W] of a sample
  int64_t classes = 0;                       // 0: unconditional
  std::vector<std::string> class_names;      // empty if unknown
  int64_t parameters = 0;                    // 0 for a network in another process
  bool has_gradient = true;                  // of the denoiser, which the training of a solver needs
  torch::Device device = torch::kCPU;
  std::map<std::string, std::string> metadata;
  std::shared_ptr<edm::Precond> network;  // the raw network of EDM models, null for others
};

// name: an embedded model ("fashion"), a path, or "exec:COMMAND" for a network in another process, whose
// schedule is the one that it names, whatever t_eps. Throws Error(kBadOption) for an unknown name (with the
// nearest), guidance without classes and bfloat16 of a process, Error(kBadFile) for a file or process that is
// not a model, Error(kUnavailable) for a process that ends before it has said what it is.
Model OpenModel(const std::string& name, const ModelOptions& options = {});

// Names of the models that come with this program.
std::vector<std::string> EmbeddedModels();
// The file of an embedded model or data set of weights, "fashion" -> .../fashion.safetensors: in
// $GAS_MODELS_DIR, beside the program, or in the source tree. Throws Error(kUnavailable) naming the places
// tried.
std::filesystem::path EmbeddedFile(const std::string& name);

// Writes an EDM network as a safetensors file that OpenModel reads.
void WriteEdmModel(const std::filesystem::path& path, const edm::PrecondConfig& config,
                   const std::map<std::string, Tensor>& weights, std::map<std::string, std::string> metadata);

// D(x/alpha; sigma/alpha) of an EDM network as a Denoiser that predicts the data.
class EdmDenoiser : public Denoiser {
 public:
  EdmDenoiser(std::shared_ptr<edm::Precond> network, bool bfloat16 = false)
      : network_(std::move(network)), bfloat16_(bfloat16) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<edm::Precond> network_;
  bool bfloat16_;
};

// Classifier-free guidance, F_none + scale (F_class - F_none), as one batch [none; class].
class GuidedDenoiser : public Denoiser {
 public:
  GuidedDenoiser(std::shared_ptr<const Denoiser> inner, double scale)
      : inner_(std::move(inner)), scale_(scale) {}
  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<const Denoiser> inner_;
  double scale_;
};

}  // namespace gas

#endif  // GAS_MODELS_MODEL_H_
