#include "gas/train/validation.h"

#include <numeric>

#include "gas/metrics/prdc.h"

namespace gas {
namespace {

constexpr int64_t kCoverageNeighbours = 5;

// Teacher and student samples as rows, gathered batch by batch.
class CoverageOfSamples {
 public:
  void Add(const Tensor& teacher, const Tensor& student) {
    teacher_.push_back(teacher.cpu().flatten(1));
    student_.push_back(student.cpu().flatten(1));
  }
  double Measure() const { return MeasurePrdc(Neighbours(teacher_), Neighbours(student_)).coverage; }

 private:
  static Neighbourhoods Neighbours(const std::vector<Tensor>& rows) {
    return FindNeighbourhoods(torch::cat(rows), kCoverageNeighbours);
  }
  std::vector<Tensor> teacher_, student_;
};

}  // namespace

Validation Validate(const StepTable& table, const Denoiser& denoiser, const Distance& distance,
                    const TrainingPairs& pairs, const ValidationOptions& options) {
  const torch::NoGradGuard no_grad;
  const bool measure_coverage = options.coverage && pairs.size() > kCoverageNeighbours;
  CoverageOfSamples coverage;
  double sum = 0;
  Samples teacher;  // of the batch that is being sampled
  const auto inputs = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> indices(end - begin);
    std::iota(indices.begin(), indices.end(), begin);
    teacher = pairs.read(indices);
    return SampleInputs{.noise = teacher.noise, .condition = teacher.condition, .seeds = {}};
  };
  const auto measure = [&](const SampleBatch& batch) {
    const Tensor& images = batch.samples.images;
    sum += distance(images.to(options.device), teacher.images.to(options.device)).item<double>() *
           static_cast<double>(images.size(0));
    if (measure_coverage) coverage.Add(teacher.images, images);
  };
  SampleInBatches(table, denoiser, options.device, pairs.size(), inputs, {.batch = options.batch}, measure);
  Validation result;
  result.distance = sum / static_cast<double>(pairs.size());
  if (measure_coverage) result.coverage = coverage.Measure();
  return result;
}

}  // namespace gas
