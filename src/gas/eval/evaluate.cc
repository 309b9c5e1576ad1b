#include "gas/eval/evaluate.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/image_set.h"

namespace gas {
namespace {

// Nearest neighbours in precision, recall, density and coverage; the number that their authors propose.
constexpr int64_t kNeighbours = 5;

// What making the solver took, as its file says.
nlohmann::json CostOf(const nlohmann::json& provenance) {
  nlohmann::json cost;
  for (const char* key : {"network_evaluations", "seconds", "peak_mebibytes"}) {
    if (provenance.contains(key) && provenance[key].is_number()) cost[key] = provenance[key];
  }
  return cost;
}

// Of all images [N,...], `count` that are evenly spread, or all of them.
Tensor EvenlySpread(const Tensor& images, int64_t count) {
  const int64_t size = images.size(0), kept = std::min(count, size);
  return images.index_select(0, torch::div(torch::arange(kept) * size, kept, "floor"));
}

Tensor ReadReal(const RealImages& real, const FeatureNetwork& network) {
  const ImageSet data = ReadImageSet(real.folder, "train");
  const FeatureCard& c = network.card();
  GAS_CHECK(network.Fits(data.images), Errc::kBadFile, real.folder, ": images of shape ", data.images.sizes(),
            ", must be [N, ", c.channels, ", ", c.resolution, ", ", c.resolution, "] for the features");
  return ToSigned(EvenlySpread(data.images, real.count));
}

// The real images in the features, or a remark on why they are left out: they are not on this machine, or a
// block has too few samples.
std::optional<Neighbourhoods> RealNeighbourhoods(const EvalOptions& options, const FeatureNetwork& network,
                                                 int64_t samples_per_block,
                                                 std::vector<std::string>& remarks) {
  const std::string left_out = "no precision, recall, density and coverage: ";
  if (samples_per_block <= kNeighbours) {
    remarks.push_back(left_out + fmt::format("{} samples in a block, must be more than the {} neighbours",
                                             samples_per_block, kNeighbours));
    return std::nullopt;
  }
  Tensor images;
  try {
    images = ReadReal(*options.real, network);
  } catch (const Error& e) {
    if (e.code() != Errc::kUnavailable) throw;
    remarks.push_back(left_out + e.what());
    return std::nullopt;
  }
  return FindNeighbourhoods(FeaturesOfImages(network, images).features, kNeighbours);
}

std::optional<FeatureModel> FeaturesOf(const ModelCard& card) {
  if (card.features.empty()) return std::nullopt;
  return ReadFeatureModel(FeatureFileOf(card));
}

std::string TeacherLabel(const TeacherSpec& spec) {
  return spec.solver.empty() ? "teacher" : spec.solver + " (teacher)";
}

}  // namespace

std::vector<ResolvedSolver> SolversOf(const EvalOptions& options, const Model& model) {
  std::vector<ResolvedSolver> resolved;
  for (const int64_t nfe : options.counts) {
    for (const std::string& solver : options.solvers) {
      resolved.push_back(ChosenSolver(solver, options.grid, nfe).On(model, options.on_difference));
      ResolvedSolver& last = resolved.back();
      if (IsSolverFile(solver)) last.label += " (" + solver + ")";
      if (!last.made_for.empty()) last.label += ", made for " + last.made_for;
    }
  }
  return resolved;
}

EvalRecord Evaluate(const TeacherData& data, const Model& model, const EvalOptions& options) {
  GAS_CHECK(data.size() >= 2 * options.blocks, Errc::kBadOption, "eval.blocks = ", options.blocks,
            ", must be at most half of the ", data.size(), " samples");
  const std::vector<ResolvedSolver> solvers = SolversOf(options, model);
  std::vector<int64_t> all(data.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  const Samples teacher = data.Read(all);
  const Tensor reference = ImagesOf(model, teacher.images);

  EvalRecord record{.samples = data.size(),
                    .blocks = options.blocks,
                    .guidance = GuidanceText(data.spec().guidance, data.spec().guidance_range)};
  for (const ResolvedSolver& solver : solvers) {
    record.remarks.insert(record.remarks.end(), solver.differences.begin(), solver.differences.end());
  }
  const std::optional<FeatureModel> features = FeaturesOf(model);
  const FeatureModel* used = features && features->network->Fits(reference) ? &*features : nullptr;
  QualityOptions quality{.blocks = options.blocks};
  if (used != nullptr && options.real) {
    quality.real = RealNeighbourhoods(options, *used->network, data.size() / options.blocks, record.remarks);
  }
  if (options.lpips) {
    const LpipsModel lpips = ReadLpips(options.lpips->kind, options.lpips->files);
    quality.lpips = lpips.network;
    record.lpips = lpips.source;
  }
  const auto measure = [&](const std::string& label, int64_t nfe, const Tensor& images, const Tensor& to) {
    return MeasureQuality(label, nfe, images, to, teacher.condition.labels, used, quality);
  };
  record.rows.push_back(measure(TeacherLabel(data.spec()), data.spec().nfe, reference, {}));
  const SampleInputs inputs{teacher.noise, teacher.condition, data.seeds()};
  for (const ResolvedSolver& solver : solvers) {
    const Samples samples = CollectSamples(model, solver.table, inputs, {.batch = options.batch});
    record.rows.push_back(
        measure(solver.label, solver.table.nfe(), ImagesOf(model, samples.images), reference));
    record.rows.back().cost = CostOf(solver.provenance);
    if (options.progress) {
      options.progress(static_cast<int64_t>(record.rows.size()) - 1, static_cast<int64_t>(solvers.size()));
    }
  }
  return record;
}

}  // namespace gas
