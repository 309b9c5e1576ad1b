// Scales of classifier-free guidance that something serves at once.
#ifndef GAS_SCHEDULE_GUIDANCE_RANGE_H_
#define GAS_SCHEDULE_GUIDANCE_RANGE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gas {

// The least and the largest scale, both included.
using GuidanceRange = std::pair<double, double>;

// "2", or "1..3" for a range, whose `scale` is not shown.
std::string GuidanceText(double scale, const std::optional<GuidanceRange>& range);

// At which scales to look: `scale` alone or, of a range, whose middle it is, the ends too, ascending.
std::vector<double> ScalesAcross(double scale, const std::optional<GuidanceRange>& range);

}  // namespace gas

#endif  // GAS_SCHEDULE_GUIDANCE_RANGE_H_
