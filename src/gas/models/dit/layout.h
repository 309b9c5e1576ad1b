// The weights of a diffusion transformer in one of the layouts on disk, with what describes them.
#ifndef GAS_MODELS_DIT_LAYOUT_H_
#define GAS_MODELS_DIT_LAYOUT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gas/models/dit/config.h"
#include "gas/models/model_files.h"

namespace gas::dit {

struct Layout {
  std::shared_ptr<const TensorFile> weights;  // by the original's names
  Config config;
  // The first channels of states, which alone are guided. The originals guide three of four, for the numbers
  // of their paper; diffusers' pipeline guides all.
  std::optional<int64_t> guided_channels;
  std::string described_by;  // for people; empty: the weights alone
  std::string sha256;
  std::vector<std::string> unused;
};

// The state dict of a file, or the averages in what training saved. card: the file that a user names, or "".
bool IsOriginal(const ModelFiles& files);
Layout OpenOriginal(const ModelFiles& files, const std::string& card);

// A folder of diffusers with a DiTPipeline.
bool IsDiffusersFolder(const ModelFiles& files);
Layout OpenDiffusersFolder(const ModelFiles& files);

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_LAYOUT_H_
