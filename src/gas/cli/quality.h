// How good samples are: against the teacher's from the same noise, and against the data.
#ifndef GAS_CLI_QUALITY_H_
#define GAS_CLI_QUALITY_H_

#include <string>
#include <vector>

#include "gas/metrics/frechet.h"

namespace gas::cli {

struct Quality {
  std::string label;
  int64_t nfe = 0;
  double distance = -1;  // mean squared difference to the teacher; negative for the teacher itself
  double frechet = -1;    // Fréchet distance to the data; negative if not measured
  double agreement = -1;  // share of samples that the classifier gives the class asked for; negative if not measured
};

// images, teacher [N,C,H,W] in [-1,1]; teacher undefined for the teacher's own row; labels [N], undefined without
// classes. Images of another shape than those of the features have no distance to their data.
Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features);

// A Markdown table, one row each.
std::string QualityTable(const std::vector<Quality>& rows);

}  // namespace gas::cli

#endif  // GAS_CLI_QUALITY_H_
