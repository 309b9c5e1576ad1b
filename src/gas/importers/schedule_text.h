// A schedule as people write it where no model says it.
#ifndef GAS_IMPORTERS_SCHEDULE_TEXT_H_
#define GAS_IMPORTERS_SCHEDULE_TEXT_H_

#include <optional>
#include <string>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

// text is one of
//   edm                        an EDM network, sigma in [0, inf], seen as variance preserving
//   ve                         sigma from 80 to 0.002
//   flow                       rectified flow
//   cosine
//   scaled-linear:START,END    1000 steps of LDM and Stable Diffusion; of the latter 0.00085,0.012
// or a JSON object of a schedule (docs/formats.md), or the path of a file with one. t_eps: the end of
// sampling, of the named ones; nothing: their own. Throws Error(kBadOption) for other text, Error(kBadFile)
// for the object.
SchedulePtr ScheduleFromText(const std::string& text, std::optional<double> t_eps);

// What networks of such a schedule predict as a rule: the noise on discrete timesteps, the flow on a
// rectified flow, else the data.
PredictionType UsualPrediction(const NoiseSchedule& schedule);

}  // namespace gas

#endif  // GAS_IMPORTERS_SCHEDULE_TEXT_H_
