// The first line of a network in another process, where it says what it is (docs/process-denoiser.md).
#ifndef GAS_MODELS_PROCESS_PROCESS_HELLO_H_
#define GAS_MODELS_PROCESS_PROCESS_HELLO_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "gas/core/enum_names.h"
#include "gas/core/torch.h"
#include "gas/models/network_facts.h"

namespace gas {

// Where classifier-free guidance is applied.
enum class GuidanceSide {
  kHere,    // the network knows none: two evaluations, joined here
  kWorker,  // the process joins two evaluations of its own
  kInput,   // the network takes the scale as an input
};
inline constexpr auto kGuidanceSideNames =
    NamesOf<GuidanceSide>("guidance", {{GuidanceSide::kWorker, "worker"}, {GuidanceSide::kInput, "input"}});

// States of any rank in version 2, [C,H,W] in version 1, which has no more than the facts.
struct ProcessHello : NetworkFacts {
  int64_t version = 1;
  torch::ScalarType dtype = torch::kFloat32;  // of states and outputs in the pipe
  bool gradient = false;                      // whether it gives the derivative of its output
  GuidanceSide guidance = GuidanceSide::kHere;
  bool texts = false;               // whether samples are asked for with texts
  bool seeds = false;               // whether a request with texts has the sample's seed too
  std::vector<int64_t> image = {};  // [3,H,W] of decoded states; empty: it decodes none
  bool encodes = false;             // images to states too
  bool decode_gradient = false;     // whether it gives the derivative of decoded images
  // Of other widths and heights of images than those of `image`; 0: there are none.
  int64_t size_multiple = 0;
};

// Messages begin with `where`. Throws Error(kBadFile) for whatever docs/process-denoiser.md does not allow.
ProcessHello ParseProcessHello(std::string_view where, std::string_view line);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_HELLO_H_
