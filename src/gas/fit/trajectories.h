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
  Tensor noise;  // [B,C,H,W] standard normal
  Condition condition;
  std::function<Tensor(double t)> state;  // teacher's state at time t, [B,C,H,W]; at t_eps its sample
  std::shared_ptr<const Denoiser> denoiser;
};

// All trajectories of a fit, read piece by piece, always the same.
struct TrajectorySource {
  int64_t pieces = 0;
  std::function<Trajectories(int64_t piece)> read;
};

// How many trajectories all pieces hold.
int64_t CountOf(const TrajectorySource& source);

// All pieces of all sources: what is fitted to it serves all of them, such as several guidance scales.
TrajectorySource Joined(const std::vector<TrajectorySource>& sources);

// `pieces` of a source's pieces, evenly spread over it.
TrajectorySource Thinned(const TrajectorySource& source, int64_t pieces);

// Teacher states between the times at which the teacher evaluated its network. With kappa = alpha / sigma the
// exact flow satisfies d(x / sigma) / d kappa = m, so x / sigma is interpolated as a cubic in kappa through
// states and predictions at both ends of an interval (fourth order), and in the last one, where no prediction
// ends it, as a quadratic (third order). docs/math/fit.md, section 3.
class TeacherPath {
 public:
  // times [T+1] strictly descending; states, predictions [B,T,C,H,W]; samples [B,C,H,W], the state at
  // times[T].
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
