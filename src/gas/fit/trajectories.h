// Teacher trajectories as the fit sees them: the state at any time.
#ifndef GAS_FIT_TRAJECTORIES_H_
#define GAS_FIT_TRAJECTORIES_H_

#include <functional>
#include <memory>
#include <vector>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/teacher/teacher.h"

namespace gas {

// Some trajectories that one network made.
struct Trajectories {
  Tensor noise;  // [B,...] standard normal
  Condition condition;
  std::function<Tensor(double t)> state;  // teacher's state at time t, [B,...]; at t_eps its sample
  std::shared_ptr<const Denoiser> denoiser;
};

// All trajectories of a fit, read piece by piece, always the same.
struct TrajectorySource {
  std::vector<int64_t> sizes;  // how many trajectories each piece holds, at least one
  std::function<Trajectories(int64_t piece)> read;

  int64_t pieces() const { return static_cast<int64_t>(sizes.size()); }
  int64_t count() const;  // of the trajectories
};

// The sizes of the pieces into which `count` trajectories fall, `batch` in each and the rest in the last.
std::vector<int64_t> PieceSizes(int64_t count, int64_t batch);

// All pieces of all sources: what is fitted to it serves all of them, such as several guidance scales.
TrajectorySource Joined(const std::vector<TrajectorySource>& sources);

// `count` of a source's trajectories, or fewer where pieces are small, evenly spread: over no more pieces
// than hold so many, but over three at least, so that a source joined from three has its share of each.
TrajectorySource PartOf(const TrajectorySource& source, int64_t count);

// Teacher states between the times at which the teacher evaluated its network. With kappa = alpha / sigma the
// exact flow satisfies d(x / sigma) / d kappa = m, so x / sigma is interpolated as a cubic in kappa through
// states and predictions at both ends of an interval (fourth order), and in the last one, where no prediction
// ends it, as a quadratic (third order). docs/math/fit.md, section 3.
class TeacherPath {
 public:
  // times [T+1] strictly descending; states, predictions [B,T,...]; samples [B,...], the state at times[T].
  TeacherPath(SchedulePtr schedule, const Tensor& times, Tensor states, Tensor predictions, Tensor samples);
  // Throws Error(kBadOption) for times outside the path.
  Tensor State(double t) const;

 private:
  SchedulePtr schedule_;
  std::vector<double> times_, kappa_, sigma_;
  Tensor states_, predictions_, samples_;
};

// Samples [begin, end) of teacher data that keep their states, in pieces of `batch`, read shard by shard.
// `data` must outlive the source. Throws Error(kBadFile) if the data keep no states, Error(kBadOption) if the
// teacher's times do not descend strictly.
TrajectorySource SourceOf(const TeacherData& data, const Model& model, int64_t begin, int64_t end,
                          int64_t batch);

// The same of samples in memory that `table` made.
TrajectorySource SourceOf(const Samples& samples, const StepTable& table, const Model& model, int64_t begin,
                          int64_t end, int64_t batch);

}  // namespace gas

#endif  // GAS_FIT_TRAJECTORIES_H_
