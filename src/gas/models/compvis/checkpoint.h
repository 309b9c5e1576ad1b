// Where the tensors of a latent diffusion checkpoint belong.
#ifndef GAS_MODELS_COMPVIS_CHECKPOINT_H_
#define GAS_MODELS_COMPVIS_CHECKPOINT_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/io/tensor_file.h"
#include "gas/models/model_files.h"

namespace gas::compvis {

// Whether the files are a checkpoint with a U-Net at model.diffusion_model, and whether it has an encoder of
// texts beside that. Read names alone.
bool IsCheckpoint(const ModelFiles& files);
bool HasTextEncoder(const ModelFiles& files);

// The state dict of a checkpoint, whose tensors are named as the reference's modules, and what of it is used.
class CheckpointWeights {
 public:
  // files: for which IsCheckpoint is true; must outlive this. Throws Error(kBadFile).
  explicit CheckpointWeights(const ModelFiles& files);

  // A small tensor in float64; nothing if there is none of this name.
  std::optional<Tensor> Table(const std::string& name);
  bool HasPart(const std::string& prefix) const;
  const TensorFile& tensors() const { return *tensors_; }

  // Gives `module`, which may be a skeleton, the tensors whose names begin with `prefix`, in float32, frozen.
  // Of the prefix's other tensors those under the parts `left_out` are passed over. Throws Error(kBadFile) as
  // nn::LoadWeights does.
  void Load(torch::nn::Module& module, const std::string& prefix, torch::Device device,
            const std::vector<std::string>& left_out = {});
  // The same from the averages that training kept of model.diffusion_model (the reference's LitEma):
  // model_ema. and a parameter's name with the dots removed.
  void LoadAverages(torch::nn::Module& unet, torch::Device device);

  // Says that all tensors whose names begin so were used.
  void MarkUsed(const std::string& prefix);

  // Parts of which nothing was used, with their number of tensors, and the checkpoint's other entries.
  std::vector<std::string> Unused() const;

 private:
  using Rename = std::function<std::string(const std::string& in_file)>;
  void LoadRenamed(torch::nn::Module& module, torch::Device device, const Rename& rename);

  const ModelFiles& files_;
  std::shared_ptr<const TensorFile> tensors_;
  std::set<std::string> used_;
};

}  // namespace gas::compvis

#endif  // GAS_MODELS_COMPVIS_CHECKPOINT_H_
