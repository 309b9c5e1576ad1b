// How good samples are: against the teacher's from the same noise, and against the data.
#ifndef GAS_EVAL_QUALITY_H_
#define GAS_EVAL_QUALITY_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/features/classifier.h"
#include "gas/features/lpips.h"
#include "gas/metrics/frechet.h"
#include "gas/metrics/neighbours.h"

namespace gas {

// A number measured on several blocks of seeds.
struct Figure {
  double mean = 0;
  double spread = 0;  // standard deviation between blocks, 0 for a single one
};

struct Quality {
  std::string label;
  int64_t nfe = 0;
  // By key, as in JSON; what could not be measured is absent. To the teacher, so not in its own row: distance
  // (mean squared difference), perceptual (features/perceptual.h), or, for pictures without a feature
  // network, psnr (dB, data range 2; absent if a sample is the teacher's to the bit) and ms_ssim
  // (metrics/ms_ssim.h), each the mean over samples; lpips (features/lpips.h) if it is asked for. To the
  // data: frechet, and precision, recall, density, coverage (metrics/prdc.h). agreement: share of samples
  // that the classifier gives the class asked for.
  std::map<std::string, Figure> figures = {};
  int64_t real_images = 0, neighbours = 0;  // what precision, recall, density and coverage were measured with
  // Of making the solver: network_evaluations, seconds, peak_mebibytes; null where nothing was made.
  nlohmann::json cost = {};
};

struct QualityOptions {
  int64_t blocks = 1;  // equal parts of the samples, on each of which every figure is measured
  // Real images in the features; without them no precision, recall, density and coverage. A block must have
  // more than k samples.
  std::optional<Neighbourhoods> real = {};
  std::shared_ptr<Lpips> lpips = {};  // for a distance to the teacher; null: none
};

// images, teacher [N,C,H,W] in [-1,1]; teacher undefined for the teacher's own row; labels [N], undefined
// without classes. Images that do not fit the features have no figures in them. Throws what Lpips throws for
// images that are neither grey nor RGB.
Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel* features,
                       const QualityOptions& options = {});

// All digits; the keys are those of Quality.
nlohmann::json QualityToJson(const std::vector<Quality>& rows);

}  // namespace gas

#endif  // GAS_EVAL_QUALITY_H_
