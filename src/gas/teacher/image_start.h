// Samples that begin from an image with noise on it, at one of a table's later nodes.
#ifndef GAS_TEACHER_IMAGE_START_H_
#define GAS_TEACHER_IMAGE_START_H_

#include <filesystem>

#include "gas/teacher/sample_seeds.h"

namespace gas {

// The state [1,...] of a PNG image, on the model's device: what its codec makes of it, or the image itself.
// Throws Error(kBadFile) for a damaged file, Error(kBadOption) for an image of another size, or in colour for
// a model of grey images, and for models whose states are no images and have no codec.
Tensor StateOfImage(const Model& model, const std::filesystem::path& image);

// As SampleRequests, from alpha x + sigma noise at the first node of `table`, which FromNode
// (solver/late_start.h) made, where x is the clean state [1,...].
void SampleFromImage(const Model& model, const StepTable& table, const Tensor& state,
                     std::span<const Request> requests, const SamplingOptions& options,
                     const std::function<void(const SampleBatch&)>& use);

}  // namespace gas

#endif  // GAS_TEACHER_IMAGE_START_H_
