// R3GAN's discriminator (Huang et al. 2024, arXiv 2501.05441) and its files. docs/math/gas.md has the
// architecture.
#ifndef GAS_MODELS_R3GAN_DISCRIMINATOR_H_
#define GAS_MODELS_R3GAN_DISCRIMINATOR_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "gas/models/discriminator.h"
#include "gas/models/r3gan/config.h"

namespace gas::r3gan {

// The 1-d low-pass filter convolved with [1,1], as a separable one [k+1,k+1] float32 of sum 1.
Tensor LowPassKernel(const std::vector<double>& filter);

// Parameters and buffers are named as in the published snapshots, without their prefix "Model.".
class R3ganDiscriminator : public Discriminator {
 public:
  // Fresh weights come from the global generator. Throws Error(kBadOption).
  explicit R3ganDiscriminator(const Config& config);

  // images [B,channels,resolution,resolution]; throws Error(kBadOption) for others. Without classes labels
  // are ignored. With classes the outputs are weighted by the class's embedding; a sample without label
  // counts every output once, which is how GAS uses R3GAN's conditional network. Computed in the dtype of
  // images, the stages in bfloat16_stages in bfloat16; logits have the dtype of images.
  Tensor forward(const Tensor& images, const Tensor& labels) override;

  const Config& config() const { return config_; }

 private:
  class Stage;
  Tensor EmbeddingOf(const Tensor& labels) const;  // [B] -> [B,outputs], ones for -1

  Config config_;
  Tensor extraction_;  // [w_0,channels,1,1]
  Tensor embedding_;   // [outputs,classes], undefined without classes
  std::vector<std::shared_ptr<Stage>> stages_;
};

enum class Classes {
  kAsStored,
  kIgnored,  // the embedding is dropped for good, as GAS does; labels have no effect
};

// Reads what WriteDiscriminator wrote, or weights under R3GAN's names, with or without the prefix "Model.":
// those of safetensors, of a state dict of PyTorch's, or the entry D of a snapshot (.pkl) of R3GAN's training
// program, under its old and its present names of modules. Then the configuration is read off the shapes, and
// the stages in bfloat16 are those of the snapshot, of weights alone none. Throws Error(kBadFile).
std::shared_ptr<R3ganDiscriminator> ReadDiscriminator(const std::filesystem::path& path,
                                                      Classes classes = Classes::kAsStored);
// The same from tensors that are in memory; `file` names them in messages.
std::shared_ptr<R3ganDiscriminator> DiscriminatorFromTensors(const Config& config,
                                                             const std::map<std::string, Tensor>& tensors,
                                                             const std::string& file);
void WriteDiscriminator(const std::filesystem::path& path, const R3ganDiscriminator& network,
                        std::map<std::string, std::string> metadata = {});

}  // namespace gas::r3gan

#endif  // GAS_MODELS_R3GAN_DISCRIMINATOR_H_
