// A pretrained model opened for sampling: what every family becomes.
#ifndef GAS_MODELS_MODEL_H_
#define GAS_MODELS_MODEL_H_

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gas/models/conditioner.h"
#include "gas/models/encoder_features.h"
#include "gas/models/image_codec.h"
#include "gas/models/text_options.h"
#include "gas/models/worker_options.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/guidance_range.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

struct ModelOptions {
  // The end of sampling, on which an EDM network's schedule depends; none: the schedule's own.
  std::optional<double> t_eps = {};
  double guidance = 1.0;  // classifier-free guidance scale; 1: none, the conditional network alone
  // In place of one scale: each request gets a scale from the range, drawn by its seed.
  std::optional<GuidanceRange> guidance_range = {};
  // Of convolutions and matrix products, one of nn::kProductDtypeNames. Normalisations and softmax stay in
  // float32.
  torch::Dtype dtype = torch::kFloat32;
  // The file that describes the network, of families whose weights come without a description; empty: found
  // beside the weights.
  std::string config = {};
  TextOptions texts = {};      // of families that take texts
  WorkerOptions workers = {};  // of networks in other processes
  // Sentences for people, such as what of a prompt is not used.
  std::function<void(const std::string&)> message = {};
  torch::Device device = torch::kCPU;
};

// What is known of a model besides its weights.
struct ModelCard {
  std::string name, family, sha256;
  SchedulePtr schedule;
  std::vector<int64_t> shape;              // of a state, [C,H,W] or of any other rank
  int64_t classes = 0;                     // 0: unconditional
  std::vector<std::string> class_names;    // empty if unknown
  int64_t parameters = 0;                  // 0 for a network in another process
  std::optional<int64_t> guided_channels;  // the first ones, which alone are guided; nothing: all are
  bool guides_itself = false;              // the denoiser as it was opened applies the guidance asked for
  bool has_gradient = true;                // of the denoiser, which the training of a solver needs
  std::string features;  // feature network made for its images: an embedded name or a path; empty: none
  std::map<std::string, std::string> metadata;
  // What its samples depend on beside the weights and the state's shape (RecordOf, models/text_options.h);
  // empty for models without texts.
  std::map<std::string, std::string> texts;
  std::vector<std::string> unused;  // parts of the file that say nothing about sampling, for people
};

struct Model : ModelCard {
  double guidance = 1.0;  // for which it was opened
  std::optional<GuidanceRange> guidance_range;
  double t_eps = kDefaultTEps;               // where sampling ends: as asked for, or the schedule's own end
  std::shared_ptr<const Denoiser> denoiser;  // with guidance applied
  std::shared_ptr<const Conditioner> conditioner;
  std::shared_ptr<const ImageCodec> codec;         // null: states are images
  std::shared_ptr<const EncoderFeatures> encoder;  // null where the network has none
  torch::Device device = torch::kCPU;
};

// name: an embedded model ("fashion"), a path, or "exec:COMMAND" for a network in another process. Throws
// Error(kBadOption) for an unknown name (with the nearest), for guidance without an unconditional side, for
// an end of sampling outside the schedule and for options that the family cannot follow, Error(kBadFile) for
// files of no known family and damaged ones, Error(kUnavailable) for a process that ends before it has said
// what it is, and for a dtype that cannot be computed on the device.
Model OpenModel(const std::string& name, const ModelOptions& options = {});

// For families that compute in float32 alone. Throws Error(kBadOption) for another dtype, as what `name`
// cannot be computed in, being `what`, such as "a mixture".
void CheckFloat32(const ModelOptions& options, const std::string& name, std::string_view what);

// Images [B,C,H,W] of states [B,...], wherever these lie: where the model has a codec they are decoded on its
// device, `batch` at once, without gradients.
Tensor ImagesOf(const Model& model, const Tensor& states, int64_t batch = 16);

// [C,H,W] of such images. Where the model has a codec, it decodes one state.
std::vector<int64_t> ImageShapeOf(const Model& model);

// Whether samples can be drawn: images of 1 or 3 channels.
bool MakesPictures(const Model& model);

// The file of the feature network that the card names. Throws Error(kBadOption) if it names none,
// Error(kUnavailable) if the file is not there.
std::filesystem::path FeatureFileOf(const ModelCard& card);

}  // namespace gas

#endif  // GAS_MODELS_MODEL_H_
