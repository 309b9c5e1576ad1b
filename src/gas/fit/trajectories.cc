#include "gas/fit/trajectories.h"

#include <numeric>

#include "gas/core/error.h"
#include "gas/core/rows.h"
#include "gas/grid/time_grid.h"

namespace gas {
namespace {

std::vector<double> Doubles(const Tensor& values) {
  const Tensor flat = values.detach().to(torch::kFloat64).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

Trajectories FromSamples(const Samples& samples, const Tensor& times, const Model& model) {
  const auto path = std::make_shared<TeacherPath>(model.schedule, times, samples.states,
                                                  samples.data_predictions, samples.images);
  const torch::Device device = model.device;
  return {samples.noise.to(device), samples.condition.To(device),
          [path, device](double t) { return path->State(t).to(device); }, model.denoiser};
}

// The first `count` of these.
Trajectories FirstOf(Trajectories all, int64_t count) {
  if (count == all.noise.size(0)) return all;
  const auto first = [count](const Tensor& rows) { return rows.slice(0, 0, count); };
  return {first(all.noise), all.condition.Rows(0, count),
          [state = all.state, first](double t) { return first(state(t)); }, all.denoiser};
}

}  // namespace

int64_t TrajectorySource::count() const { return std::accumulate(sizes.begin(), sizes.end(), int64_t{0}); }

std::vector<int64_t> PieceSizes(int64_t count, int64_t batch) {
  std::vector<int64_t> sizes;
  for (int64_t begin = 0; begin < count; begin += batch) sizes.push_back(std::min(batch, count - begin));
  return sizes;
}

TrajectorySource Joined(const std::vector<TrajectorySource>& sources) {
  struct Place {
    size_t source;
    int64_t piece;
  };
  std::vector<Place> places;
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < sources.size(); ++i) {
    for (int64_t piece = 0; piece < sources[i].pieces(); ++piece) {
      places.push_back({i, piece});
      sizes.push_back(sources[i].sizes[piece]);
    }
  }
  return {sizes, [sources, places](int64_t piece) {
            const Place& place = places[piece];
            return sources[place.source].read(place.piece);
          }};
}

TrajectorySource PartOf(const TrajectorySource& source, int64_t count) {
  GAS_CHECK(count >= 1, Errc::kInternal, "a part of ", count, " trajectories");
  if (count >= source.count()) return source;
  constexpr int64_t kLeastPieces = 3;
  const int64_t all = source.pieces();
  const int64_t needed = (count * all + source.count() - 1) / source.count();
  const int64_t pieces = std::min({all, count, std::max(needed, kLeastPieces)});
  std::vector<int64_t> kept, sizes;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t piece = i * all / pieces;
    const int64_t share = (count - std::accumulate(sizes.begin(), sizes.end(), int64_t{0})) / (pieces - i);
    kept.push_back(piece);
    sizes.push_back(std::min(share, source.sizes[piece]));
  }
  return {sizes,
          [source, kept, sizes](int64_t piece) { return FirstOf(source.read(kept[piece]), sizes[piece]); }};
}

TeacherPath::TeacherPath(SchedulePtr schedule, const Tensor& times, Tensor states, Tensor predictions,
                         Tensor samples)
    : schedule_(std::move(schedule)),
      times_(Doubles(times)),
      kappa_(Doubles(schedule_->HalfLogSnr(times).exp())),
      sigma_(Doubles(schedule_->Sigma(times))),
      states_(std::move(states)),
      predictions_(std::move(predictions)),
      samples_(std::move(samples)) {
  CheckGrid(times);
  GAS_CHECK(states_.size(1) + 1 == times.size(0), Errc::kInternal, "teacher path of ", states_.size(1),
            " states and ", times.size(0), " times");
}

Tensor TeacherPath::State(double t) const {
  const int64_t last = static_cast<int64_t>(times_.size()) - 1;
  const double slack = 1e-9 * times_[0];
  GAS_CHECK(t <= times_[0] + slack && t >= times_[last] - slack, Errc::kBadOption, "teacher state at time ",
            t, ", must be in [", times_[last], ", ", times_[0], "]");
  const auto at = [&](int64_t i) { return i == last ? samples_ : states_.select(1, i); };
  int64_t i = 0;
  while (i + 1 < last && times_[i + 1] >= t) ++i;
  for (const int64_t node : {i, i + 1}) {
    if (std::abs(t - times_[node]) <= slack) return at(node);
  }
  // In interval i, x / sigma as a polynomial in s in [0, 1], the share of the way in kappa.
  const double width = kappa_[i + 1] - kappa_[i];
  const double s = (std::exp(schedule_->HalfLogSnr(t)) - kappa_[i]) / width;
  const double s2 = s * s, s3 = s2 * s;
  const Tensor from = at(i) * (1 / sigma_[i]), to = at(i + 1) * (1 / sigma_[i + 1]);
  const Tensor slope_from = predictions_.select(1, i);
  const double sigma = schedule_->Sigma(t);
  if (i + 1 == last) return sigma * ((1 - s2) * from + (s - s2) * width * slope_from + s2 * to);
  const Tensor slope_to = predictions_.select(1, i + 1);
  return sigma * ((2 * s3 - 3 * s2 + 1) * from + (s3 - 2 * s2 + s) * width * slope_from +
                  (3 * s2 - 2 * s3) * to + (s3 - s2) * width * slope_to);
}

TrajectorySource SourceOf(const TeacherData& data, const Model& model, int64_t begin, int64_t end,
                          int64_t batch) {
  const TeacherSpec& spec = data.spec();
  GAS_CHECK(spec.states, Errc::kBadFile, "teacher data of ", spec.model,
            ": keep no states along the trajectory, make them with gas teacher --states");
  const Tensor times = data.times(*model.schedule);
  CheckGrid(times);
  return {PieceSizes(end - begin, batch), [=, &data](int64_t piece) {
            const int64_t from = begin + piece * batch;
            std::vector<int64_t> indices(std::min(batch, end - from));
            std::iota(indices.begin(), indices.end(), from);
            return FromSamples(data.Read(indices), times, model);
          }};
}

TrajectorySource SourceOf(const Samples& samples, const StepTable& table, const Model& model, int64_t begin,
                          int64_t end, int64_t batch) {
  CheckGrid(table.t);
  return {PieceSizes(end - begin, batch), [=, times = table.t](int64_t piece) {
            const int64_t from = begin + piece * batch, to = std::min(end, from + batch);
            const auto rows = [&](const Tensor& all) { return RowsIfAny(all, from, to); };
            return FromSamples({rows(samples.noise), rows(samples.images), samples.condition.Rows(from, to),
                                rows(samples.states), rows(samples.data_predictions)},
                               times, model);
          }};
}

}  // namespace gas
