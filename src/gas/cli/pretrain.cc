#include <iostream>

#include <fmt/format.h>

#include "gas/cli/image_data_options.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/core/progress.h"
#include "gas/train/pretrain_run.h"

namespace gas::cli {
namespace {

enum class Target { kDenoiser, kClassifier };
constexpr auto kTargetNames =
    NamesOf<Target>("pretrain.what", {{Target::kDenoiser, "denoiser"}, {Target::kClassifier, "classifier"}});
constexpr const char* kDenoiserOnly = "with --what denoiser";
constexpr const char* kNewDenoiserOnly = "for a denoiser without --init";

enum class Store { kFloat32, kBfloat16 };
constexpr auto kStoreNames =
    NamesOf<Store>("pretrain.store", {{Store::kFloat32, "float32"}, {Store::kBfloat16, "bfloat16"}});

// What is made, and where.
std::vector<OptionRow> PretrainTargetRows() {
  return {
      {.key = "pretrain.what",
       .flag = "--what",
       .type = OptType::kChoice,
       .def = DefaultOf(kTargetNames.NameOf(Target::kDenoiser)),
       .help = "what to train",
       .choices = kTargetNames.choices()},
      {.key = "pretrain.run",
       .flag = "--run",
       .type = OptType::kText,
       .def = "runs/pretrain",
       .help = "run folder: checkpoint, log, options; an interrupted run continues from it",
       .value = "FOLDER"},
      {.key = "pretrain.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "model file to write, a denoiser's at each checkpoint too [RUN/model.safetensors]",
       .value = "FILE"},
  };
}

// From what it is made.
std::vector<OptionRow> PretrainSourceRows() {
  return {
      {.key = "pretrain.store",
       .flag = "--store",
       .type = OptType::kChoice,
       .def = DefaultOf(kStoreNames.NameOf(Store::kFloat32)),
       .help = "precision of the weights in the file",
       .choices = kStoreNames.choices(),
       .only = kDenoiserOnly},
      {.key = "pretrain.features",
       .flag = "--features",
       .type = OptType::kText,
       .def = "",
       .help =
           "feature network made for these images, for the file to name: an embedded one or a path [none]",
       .value = "FILE",
       .only = kDenoiserOnly},
      {.key = "pretrain.init",
       .flag = "--init",
       .type = OptType::kText,
       .def = "",
       .help = "denoiser's file whose weights and sizes to begin with [none]",
       .value = "FILE",
       .only = kDenoiserOnly},
      {.key = "pretrain.data_name",
       .flag = "--data-name",
       .type = OptType::kText,
       .def = "",
       .help = "name and licence of the images, for the file [the folder's name]"},
  };
}

// How it is trained.
std::vector<OptionRow> PretrainStepRows() {
  return {
      {.key = "pretrain.images",
       .flag = "--images",
       .type = OptType::kInt,
       .def = "210000",
       .min = 1,
       .max = 1e12,
       .help = "training images in total"},
      {.key = "pretrain.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "images per step"},
      {.key = "pretrain.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = "1.5e-3",
       .min = 1e-9,
       .max = 1,
       .help = "Adam step size after warm-up"},
      {.key = "pretrain.cooldown",
       .flag = "--cooldown",
       .type = OptType::kReal,
       .def = "0.4",
       .min = 0,
       .max = 1,
       .help = "last share of training over which the step size falls to zero"},
      {.key = "pretrain.ema",
       .flag = "--ema",
       .type = OptType::kReal,
       .def = DefaultOf(NetworkTrainOptions{}.ema_decay),
       .min = 0,
       .max = 0.999999,
       .help = "decay of the average of the weights"},
  };
}

// What the noise is, and what happens beside the steps.
std::vector<OptionRow> PretrainNoiseRows() {
  return {
      {.key = "pretrain.sigma_mean",
       .flag = "--sigma-mean",
       .type = OptType::kReal,
       .def = "-0.8",
       .min = -10,
       .max = 10,
       .help = "mean of log sigma in training",
       .only = kDenoiserOnly},
      {.key = "pretrain.sigma_std",
       .flag = "--sigma-std",
       .type = OptType::kReal,
       .def = "1.4",
       .min = 0,
       .max = 10,
       .help = "standard deviation of log sigma in training",
       .only = kDenoiserOnly},
      {.key = "pretrain.seed",
       .flag = "--seed",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 9e15,
       .help = "seed of weights, order and noise"},
      {.key = "pretrain.checkpoint_seconds",
       .flag = "--checkpoint-seconds",
       .type = OptType::kReal,
       .def = DefaultOf(NetworkTrainOptions{}.checkpoint_seconds),
       .min = 1,
       .max = 1e6,
       .help = "time between checkpoints"},
  };
}

// The network's sizes.
// What a new network is like.
std::vector<OptionRow> PretrainSizeRows() {
  return {
      {.key = "pretrain.width",
       .flag = "--width",
       .type = OptType::kInt,
       .def = DefaultOf(DenoiserSizes{}.width),
       .min = 4,
       .max = 1024,
       .help = "channels at full resolution",
       .only = "without --init"},
      {.key = "pretrain.blocks",
       .flag = "--blocks",
       .type = OptType::kInt,
       .def = DefaultOf(DenoiserSizes{}.blocks),
       .min = 1,
       .max = 16,
       .help = "residual blocks per level",
       .only = kNewDenoiserOnly},
      {.key = "pretrain.channel_mult",
       .flag = "--channel-mult",
       .type = OptType::kText,
       .def = "1,2,2",
       .help = "channels over the width at each level, from full resolution down",
       .value = "LIST",
       .only = kNewDenoiserOnly},
  };
}

// Where it attends, and to what.
std::vector<OptionRow> PretrainAttentionRows() {
  return {
      {.key = "pretrain.attention",
       .flag = "--attention",
       .type = OptType::kText,
       .def = "",
       .help = "resolutions with attention, with commas between [a quarter of the side]",
       .value = "LIST",
       .only = kNewDenoiserOnly},
      {.key = "pretrain.label_dropout",
       .flag = "--label-dropout",
       .type = OptType::kReal,
       .def = DefaultOf(DenoiserSizes{}.label_dropout),
       .min = 0,
       .max = 1,
       .help = "share of images trained without their label, for guidance",
       .only = kNewDenoiserOnly},
  };
}

std::vector<OptionRow> PretrainRows() {
  return JoinedRows({PretrainTargetRows(), PretrainSourceRows(), ImageDataRows(), PretrainSizeRows(),
                     PretrainAttentionRows(), PretrainStepRows(), PretrainNoiseRows(), TrainingRunRows()});
}

struct PretrainSettings {
  Target target;
  PretrainOptions options;
};

NetworkTrainOptions ReadTraining(const Options& o) {
  return {.run_folder = o.Text("pretrain.run"),
          .images = o.Int("pretrain.images"),
          .batch = o.Int("pretrain.batch"),
          .lr = o.Real("pretrain.lr"),
          .cooldown = o.Real("pretrain.cooldown"),
          .ema_decay = o.Real("pretrain.ema"),
          .seed = static_cast<uint64_t>(o.Int("pretrain.seed")),
          .bfloat16 = ReadDtype(o) == Dtype::kBfloat16,
          .checkpoint_seconds = o.Real("pretrain.checkpoint_seconds"),
          .device = ReadDevice(o)};
}

DenoiserSizes ReadSizes(const Options& o) {
  DenoiserSizes sizes{.width = o.Int("pretrain.width"),
                      .blocks = o.Int("pretrain.blocks"),
                      .channel_mult = o.IntList("pretrain.channel_mult"),
                      .label_dropout = o.Real("pretrain.label_dropout")};
  if (!o.Text("pretrain.attention").empty()) sizes.attn_resolutions = o.IntList("pretrain.attention");
  return sizes;
}

void ReadDenoiser(const Options& o, PretrainOptions& options) {
  options.init = o.Text("pretrain.init");
  if (options.init.empty()) options.sizes = ReadSizes(o);
  options.noise = {o.Real("pretrain.sigma_mean"), o.Real("pretrain.sigma_std")};
  const bool narrow = o.Enum("pretrain.store", kStoreNames) == Store::kBfloat16;
  options.store = narrow ? torch::kBFloat16 : torch::kFloat32;
  const std::string& features = o.Text("pretrain.features");
  if (!features.empty()) options.metadata["features"] = features;
}

PretrainSettings ReadPretrainSettings(const Options& o) {
  PretrainSettings s{.target = o.Enum("pretrain.what", kTargetNames),
                     .options = {.data = ReadImageData(o), .train = ReadTraining(o)}};
  s.options.data.name = o.Text("pretrain.data_name");
  const std::filesystem::path out = o.Text("pretrain.out");
  s.options.out = out.empty() ? s.options.train.run_folder / "model.safetensors" : out;
  if (s.target == Target::kDenoiser) {
    ReadDenoiser(o, s.options);
  } else {
    s.options.sizes.width = o.Int("pretrain.width");
  }
  s.options.metadata["recipe"] = o.ToJson().dump();
  return s;
}

void Print(const PretrainResult& r) {
  if (r.test_accuracy) {
    std::cout << fmt::format("test accuracy {:.2f} %, Fréchet distance of the test images {:.3f}\n",
                             *r.test_accuracy * 100, *r.test_frechet_distance);
  }
  std::cout << r.out.string() << '\n';
}

void RunPretrain(PretrainSettings s, const Options& o) {
  s.options.record = o.ToJson();
  s.options.message = [](const std::string& sentence) { std::cerr << "gas pretrain: " << sentence << '\n'; };
  Progress progress("pretrain", "images", s.options.train.images);
  const PretrainReportFunction report = [&](const NetworkTrainReport& r) {
    progress.Update(r.images, fmt::format("loss {:.4f}", r.loss));
  };
  Print(s.target == Target::kDenoiser ? PretrainDenoiser(s.options, report)
                                      : PretrainClassifier(s.options, report));
}

Work PlanPretrain(const Options& o) {
  return [&o, s = ReadPretrainSettings(o)] { RunPretrain(s, o); };
}

}  // namespace

Verb PretrainVerb() {
  return {"pretrain",
          "Trains a denoiser, or the classifier that measures it, on labelled images.",
          "gas pretrain --run runs/fashion --out model.safetensors",
          PretrainRows(),
          PlanPretrain,
          kSameCommandGoesOn};
}

}  // namespace gas::cli
