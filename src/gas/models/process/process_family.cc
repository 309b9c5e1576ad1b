#include "gas/models/process/process_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/models/process/process_codec.h"
#include "gas/models/process/process_conditioner.h"
#include "gas/models/process/process_denoiser.h"

namespace gas {
namespace {

void CheckTexts(const ProcessPool& pool, const TextOptions& texts) {
  const ProcessHello& hello = pool.hello();
  if (!hello.texts) return CheckNoTexts(pool.name() + ", whose process", texts);
  GAS_CHECK(texts.tokenizer.empty(), Errc::kBadOption, "model.tokenizer = ", texts.tokenizer,
            ", must not be given for ", pool.name(), ", whose process has its own");
  GAS_CHECK(texts.loras.empty(), Errc::kBadOption, "model.lora must not be given for ", pool.name(),
            ", whose process has its weights itself");
  const bool negative = texts.negative || texts.prompts.has_negatives();
  GAS_CHECK(!negative || hello.guidance != GuidanceSide::kInput, Errc::kBadOption,
            "model.negative must not be given for ", pool.name(),
            ", whose network takes the guidance scale as an input");
}

// Of a state and of an image, as asked for.
struct Shapes {
  std::vector<int64_t> state, image;
};

Shapes ShapesOf(const ProcessPool& pool, const std::optional<ImageSize>& size) {
  const ProcessHello& hello = pool.hello();
  Shapes shapes{hello.shape, hello.image};
  if (!size) return shapes;
  const bool own = !hello.image.empty() && size->height == hello.image[1] && size->width == hello.image[2];
  if (own) return shapes;
  GAS_CHECK(hello.size_multiple > 0, Errc::kBadOption, "model.size = ", size->width, "x", size->height,
            ", must not be given for ", pool.name(), ", whose process serves one size");
  CheckImageSize(*size, hello.size_multiple);
  const int64_t factor = hello.image[1] / hello.shape[1];
  shapes.state = {hello.shape[0], size->height / factor, size->width / factor};
  shapes.image = {hello.image[0], size->height, size->width};
  return shapes;
}

}  // namespace

bool IsProcess(const ModelFiles& files) { return !files.command().empty(); }

Model OpenProcess(const ModelFiles& files, const ModelOptions& options) {
  CheckFloat32(options, files.name(), "a network in another process");
  const auto pool = std::make_shared<const ProcessPool>(files.command(), options.workers, options.message);
  const ProcessHello& hello = pool->hello();
  CheckTexts(*pool, options.texts);
  const Shapes shapes = ShapesOf(*pool, options.texts.size);
  Model model;
  model.name = hello.name;
  // The weights are out of reach. What the process says of itself keeps the samples of different models
  // apart, and stays the same when it is started by another command or on another machine.
  model.sha256 = Sha256(pool->hello_line());
  model.schedule = hello.schedule;
  model.shape = shapes.state;
  model.classes = hello.classes;
  model.has_gradient = hello.gradient;
  model.guides_itself = hello.guidance != GuidanceSide::kHere;
  model.metadata = {{"hello", pool->hello_line()}};
  model.texts = RecordOf(options.texts);
  model.denoiser = std::make_shared<ProcessDenoiser>(
      pool, ProcessUse{.shape = shapes.state, .guidance = options.guidance});
  if (hello.texts) {
    model.conditioner = std::make_shared<ProcessConditioner>(hello, options.texts);
  } else {
    model.conditioner = std::make_shared<ClassConditioner>(hello.classes);
  }
  if (!shapes.image.empty()) model.codec = std::make_shared<ProcessCodec>(pool, shapes.state, shapes.image);
  return model;
}

Model ProcessAtGuidance(const Model& model, double scale) {
  Model other = model;
  other.denoiser = std::make_shared<ProcessDenoiser>(OwnDenoiser(model).pool(),
                                                     ProcessUse{.shape = model.shape, .guidance = scale});
  return other;
}

}  // namespace gas
