// How good samples are: against the teacher's from the same noise, and against the data.
#ifndef GAS_CLI_QUALITY_H_
#define GAS_CLI_QUALITY_H_

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/metrics/frechet.h"

namespace gas::cli {

// A number measured on several blocks of seeds.
struct Figure {
  double mean = 0;
  double spread = 0;  // standard deviation between blocks, 0 for a single one
};

struct Quality {
  std::string label;
  int64_t nfe = 0;
  std::optional<Figure> distance;    // mean squared difference to the teacher; none for the teacher itself
  std::optional<Figure> perceptual;  // perceptual distance to the teacher (models/features/perceptual.h)
  std::optional<Figure> frechet;     // Fréchet distance to the data
  std::optional<Figure> agreement;   // share of samples that the classifier gives the class asked for
  nlohmann::json cost;  // of making the solver: network_evaluations, seconds, peak_mebibytes; null where nothing was
};

// images, teacher [N,C,H,W] in [-1,1]; teacher undefined for the teacher's own row; labels [N], undefined without
// classes. Images of another shape than those of the features have no distances in them. Each figure is measured on each
// of `blocks` equal parts.
Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features, int64_t blocks = 1);

// A Markdown table, one row each; with spreads where there are several blocks.
std::string QualityTable(const std::vector<Quality>& rows);
nlohmann::json QualityToJson(const std::vector<Quality>& rows);

}  // namespace gas::cli

#endif  // GAS_CLI_QUALITY_H_
