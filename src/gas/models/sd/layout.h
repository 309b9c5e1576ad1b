// A Stable Diffusion model as one of its layouts on disk holds it.
#ifndef GAS_MODELS_SD_LAYOUT_H_
#define GAS_MODELS_SD_LAYOUT_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gas/models/autoencoder/autoencoder.h"
#include "gas/models/compvis/config.h"
#include "gas/models/model_files.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/models/text/clip_text.h"
#include "gas/schedule/noise_schedule.h"

namespace gas::sd {

// The numbers 0, 1, ... in the files of text encoders, which are no weights.
inline constexpr const char* kPositionIds = "text_model.embeddings.position_ids";

// One text encoder, and what the U-Net is told of its output.
struct TextStage {
  text::ClipTextConfig network;
  bool penultimate = false;  // the context is the input of the last layer, not normalised
  // The token that fills texts up, by its name in the vocabulary, and whether that name in a prompt is the
  // token too, as for special tokens of Hugging Face's tokenizers.
  std::string padding = "<|endoftext|>";
  bool padding_in_prompts = false;
  std::filesystem::path tokenizer = {};  // empty where none lies with the model
};

struct SdConfig {
  compvis::Config parts;
  std::vector<TextStage> text;
  // Of Stable Diffusion XL, whose U-Net is told a pooled text and the image's size: channels of each of the
  // six numbers that say it; 0 for others.
  int64_t size_channels = 0;
  bool zero_unconditional = false;  // without a negative prompt the unconditional side is zeros
};

class Layout {
 public:
  virtual ~Layout() = default;

  const SdConfig& config() const { return config_; }
  // Where the configuration came from, for people.
  const std::string& described_by() const { return described_by_; }

  // Give a network, which may be a skeleton, its weights in float32, frozen. Throw Error(kBadFile) as
  // nn::LoadWeights does.
  virtual void Load(openai_unet::UNet& network, torch::Device device) = 0;
  virtual void Load(autoencoder::Autoencoder& network, torch::Device device) = 0;
  virtual void Load(text::ClipText& network, size_t stage, torch::Device device) = 0;
  virtual SchedulePtr Schedule() = 0;
  virtual double Scale() = 0;  // states are latents times this
  // Of the weights and of what describes them.
  virtual std::string Sha256() const = 0;
  // Parts of the files that were not used, once all is loaded.
  virtual std::vector<std::string> Unused() const = 0;

 protected:
  SdConfig config_;
  std::string described_by_;
};

// CompVis's and Stability's single files. config: the YAML file that a user names, or "".
bool IsCheckpointLayout(const ModelFiles& files);
std::unique_ptr<Layout> OpenCheckpointLayout(const ModelFiles& files, const std::string& config);

// A folder of diffusers with its model_index.json.
bool IsFolderLayout(const ModelFiles& files);
std::unique_ptr<Layout> OpenFolderLayout(const ModelFiles& files);

// The first of the names under which a tokenizer lies in `folder`; empty if none does.
std::filesystem::path TokenizerIn(const std::filesystem::path& folder);

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_LAYOUT_H_
