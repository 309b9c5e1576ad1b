#include "gas/train/copies.h"

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/features/classifier.h"
#include "gas/io/image_folder.h"

namespace gas {
namespace {

// What is compared, [N,C,R,R] in [-1,1] each.
struct Sets {
  Tensor samples, training, held_out;
};

Sets ReadSets(const CopiesOptions& o, CopiesReport& report) {
  const TrainingImages training = ReadTrainingImages(o.data);
  const std::optional<ImageSet> held_out = ReadHeldOutImages(o.data, training);
  GAS_CHECK(held_out.has_value(), Errc::kUnavailable, o.data.folder.string(),
            ": no images held out, in a folder test");
  Sets sets;
  sets.samples = ToSigned(ReadImages(o.samples));
  const auto shape = sets.samples.sizes().slice(1);
  const std::vector<int64_t> expected = {training.set.images.size(1), training.resolution,
                                         training.resolution};
  GAS_CHECK(shape == c10::IntArrayRef(expected), Errc::kBadOption, o.samples.string(), ": images of shape ",
            shape, ", must be ", c10::IntArrayRef(expected), " as the data");
  std::vector<Tensor> draws = {AtResolution(training.set, training.resolution)};
  for (int64_t i = 0; training.augment.any() && i < o.draws; ++i) {
    CheckInterrupt();
    draws.push_back(Augmented(training, static_cast<uint64_t>(i)));
  }
  sets.training = torch::cat(draws);
  sets.held_out = AtResolution(*held_out, training.resolution);
  report.samples = sets.samples.size(0);
  report.training = training.set.size();
  report.held_out = held_out->size();
  return sets;
}

// Euclidean distances of these are root mean squares over pixels.
Tensor PixelRows(const Tensor& images) {
  const Tensor rows = images.flatten(1);
  return rows / std::sqrt(static_cast<double>(rows.size(1)));
}

}  // namespace

CopiesReport CountCopiesIn(const CopiesOptions& options) {
  CopiesReport report;
  const Sets sets = ReadSets(options, report);
  report.pixels = CountCopies(PixelRows(sets.samples), PixelRows(sets.training), PixelRows(sets.held_out));
  const Tensor closest = report.pixels.distances.argsort().slice(0, 0, options.pairs);
  report.closest_samples = sets.samples.index_select(0, closest);
  report.closest_training = sets.training.index_select(0, report.pixels.nearest.index_select(0, closest));
  if (!options.features.empty()) {
    const FeatureModel model = ReadFeatureModel(options.features);
    GAS_CHECK(model.network->Fits(sets.samples), Errc::kBadOption, options.features.string(),
              ": features of other images than ", sets.samples.sizes());
    const auto rows = [&](const Tensor& images) { return FeaturesOfImages(*model.network, images).features; };
    report.features = CountCopies(rows(sets.samples), rows(sets.training), rows(sets.held_out));
  }
  return report;
}

}  // namespace gas
