#include "gas/eval/quality.h"

#include <functional>

#include "gas/core/interrupt.h"
#include "gas/metrics/ms_ssim.h"
#include "gas/metrics/prdc.h"

namespace gas {
namespace {

// Samples begin <= i < end of a set.
struct Block {
  int64_t begin, end;
  Tensor Of(const Tensor& all) const { return all.slice(0, begin, end); }
};

std::vector<Block> EqualBlocks(int64_t count, int64_t blocks) {
  std::vector<Block> parts;
  for (int64_t i = 0; i < blocks; ++i) parts.push_back({i * (count / blocks), (i + 1) * (count / blocks)});
  return parts;
}

// The mean over blocks of what was measured on each, and the standard deviation between them.
Figure Over(const std::vector<double>& values) {
  const Tensor all = torch::tensor(values, torch::kFloat64);
  return {all.mean().item<double>(), values.size() > 1 ? all.std().item<double>() : 0};
}

Figure Over(const std::vector<Block>& blocks, const std::function<double(const Block&)>& measure) {
  std::vector<double> values;
  for (const Block& block : blocks) {
    CheckInterrupt();
    values.push_back(measure(block));
  }
  return Over(values);
}

double SquaredDifference(const Tensor& images, const Tensor& teacher) {
  return (images - teacher).square().mean().item<double>();
}

// Gray or RGB, rather than latents or points.
bool ArePictures(const Tensor& images) {
  return images.dim() == 4 && (images.size(1) == 1 || images.size(1) == 3);
}

// Of each image, in dB: 10 log10(range^2 / mean squared difference). Infinite for images that are equal.
Tensor Psnr(const Tensor& images, const Tensor& teacher) {
  const Tensor squared = (images - teacher).to(torch::kFloat64).square().flatten(1).mean(1);
  return 10 * torch::log10(kImageRange * kImageRange / squared);
}

// What can be said of pictures without a network that looks at them. Samples are clipped as a picture file
// clips them.
void AddPixelFigures(const std::vector<Block>& blocks, const Tensor& images, const Tensor& teacher,
                     Quality& q) {
  const Tensor shown = images.clamp(-1, 1), teacher_shown = teacher.clamp(-1, 1);
  const Tensor psnr = Psnr(shown, teacher_shown);
  if (psnr.isfinite().all().item<bool>()) {
    q.figures["psnr"] = Over(blocks, [&](const Block& b) { return b.Of(psnr).mean().item<double>(); });
  }
  q.figures["ms_ssim"] = Over(blocks, [&](const Block& b) {
    return MsSsim(b.Of(shown), b.Of(teacher_shown)).to(torch::kFloat64).mean().item<double>();
  });
}

void AddPrdc(const std::vector<Block>& blocks, const Tensor& features, const Neighbourhoods& real,
             Quality& q) {
  std::vector<double> precision, recall, density, coverage;
  for (const Block& block : blocks) {
    const Prdc measured = MeasurePrdc(real, FindNeighbourhoods(block.Of(features), real.k));
    precision.push_back(measured.precision);
    recall.push_back(measured.recall);
    density.push_back(measured.density);
    coverage.push_back(measured.coverage);
  }
  q.figures["precision"] = Over(precision);
  q.figures["recall"] = Over(recall);
  q.figures["density"] = Over(density);
  q.figures["coverage"] = Over(coverage);
  q.real_images = real.size();
  q.neighbours = real.k;
}

}  // namespace

Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel* features, const QualityOptions& options) {
  Quality q{.label = label, .nfe = nfe};
  const std::vector<Block> blocks = EqualBlocks(images.size(0), options.blocks);
  const FeatureNetwork* network =
      features && features->network->Fits(images) ? features->network.get() : nullptr;
  if (teacher.defined()) {
    q.figures["distance"] =
        Over(blocks, [&](const Block& b) { return SquaredDifference(b.Of(images), b.Of(teacher)); });
  }
  if (teacher.defined() && options.lpips) {
    q.figures["lpips"] =
        Over(blocks, [&](const Block& b) { return MeanLpips(*options.lpips, b.Of(images), b.Of(teacher)); });
  }
  if (network == nullptr) {
    if (teacher.defined() && ArePictures(images)) AddPixelFigures(blocks, images, teacher, q);
    return q;
  }
  if (teacher.defined()) {
    q.figures["perceptual"] = Over(blocks, [&](const Block& b) {
      return MeanPerceptualDistance(*network, b.Of(images), b.Of(teacher));
    });
  }
  const ImageFeatures seen = FeaturesOfImages(*network, images);
  q.figures["frechet"] = Over(blocks, [&](const Block& b) {
    return FrechetDistance(StatisticsOf(b.Of(seen.features)),
                           {features->data_mean, features->data_covariance});
  });
  if (options.real) AddPrdc(blocks, seen.features, *options.real, q);
  if (labels.defined() && seen.logits.defined()) {
    const Tensor right = (seen.logits.argmax(1) == labels).to(torch::kFloat64);
    q.figures["agreement"] = Over(blocks, [&](const Block& b) { return b.Of(right).mean().item<double>(); });
  }
  return q;
}

nlohmann::json QualityToJson(const std::vector<Quality>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const Quality& q : rows) {
    nlohmann::json row = {{"solver", q.label}, {"nfe", q.nfe}};
    for (const auto& [key, figure] : q.figures) row[key] = {{"mean", figure.mean}, {"spread", figure.spread}};
    if (q.real_images > 0) {
      row["real_images"] = q.real_images;
      row["neighbours"] = q.neighbours;
    }
    if (!q.cost.is_null()) row["cost"] = q.cost;
    array.push_back(row);
  }
  return array;
}

}  // namespace gas
