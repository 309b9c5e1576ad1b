#include "gas/eval/convolution_choice.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/models/batch_parallel.h"
#include "gas/models/network_input.h"

namespace gas {
namespace {

std::string ChosenName(const nn::PlannedConvolution& planned) {
  if (!planned.tile) return planned.packed ? "packed" : "direct";
  const auto m = static_cast<int64_t>(*planned.tile);
  return fmt::format("winograd {}x{}", m, m);
}

double SecondsOfChosen(const nn::PlannedConvolution& planned) {
  if (!planned.tile) return planned.packed ? planned.seconds->packed : planned.seconds->direct;
  return *planned.tile == nn::WinogradTile::kFour ? planned.seconds->four : planned.seconds->two;
}

std::string SizeText(const nn::PlannedConvolution& planned) {
  const nn::ConvolutionSize& s = planned.size;
  return fmt::format("{} -> {} at {}x{}", s.in, s.out, s.height, s.width);
}

}  // namespace

std::vector<nn::PlannedConvolution> ChooseConvolutions(const Model& model, torch::Dtype dtype,
                                                       const nn::PlanOptions& options) {
  const bool packed_alone = dtype == torch::kBFloat16 && options.mode == nn::ConvolutionMode::kAuto;
  const bool possible = model.device.is_cpu() && (dtype == torch::kFloat32 || packed_alone);
  if (options.mode == nn::ConvolutionMode::kDirect || !possible) return {};
  const torch::NoGradGuard no_grad;
  const WholeBatchGuard whole;
  const NetworkInput one = InputFor(model, 1);
  const nn::ConvolutionRecorder recorder;
  model.denoiser->Predict(one.state, one.at, one.condition);
  nn::PlanOptions of_dtype = options;
  of_dtype.dtype = dtype;
  return nn::PlanConvolutions(recorder.uses(), of_dtype);
}

std::string ChoiceText(const std::vector<nn::PlannedConvolution>& plan) {
  const auto chosen =
      std::count_if(plan.begin(), plan.end(), [](const auto& p) { return p.tile.has_value(); });
  const auto packed = std::count_if(plan.begin(), plan.end(), [](const auto& p) { return p.packed; });
  std::string text = fmt::format("convolutions: {} of {} by Winograd's algorithm", chosen, plan.size());
  if (packed > 0) text += fmt::format(", {} with packed weights", packed);
  return text;
}

std::string ChoiceTable(const std::vector<nn::PlannedConvolution>& plan) {
  std::vector<std::pair<nn::PlannedConvolution, int64_t>> lines;  // in the order of their first use
  for (const nn::PlannedConvolution& planned : plan) {
    if (!planned.eligible) continue;
    const auto same = [&](const auto& line) {
      return SizeText(line.first) == SizeText(planned) && ChosenName(line.first) == ChosenName(planned);
    };
    const auto found = std::find_if(lines.begin(), lines.end(), same);
    if (found == lines.end()) {
      lines.emplace_back(planned, 1);
    } else {
      ++found->second;
    }
  }
  std::string text = fmt::format("{:<24} {:>6}  {:<13}", "3x3 convolutions", "layers", "chosen");
  text += " direct ms  chosen ms  times as fast\n";
  for (const auto& [planned, count] : lines) {
    text += fmt::format("{:<24} {:>6}  {:<13}", SizeText(planned), count, ChosenName(planned));
    if (planned.seconds) {
      const double direct = planned.seconds->direct, chosen = SecondsOfChosen(planned);
      text += fmt::format(" {:>9.3f}  {:>9.3f}  {:>13.2f}", direct * 1e3, chosen * 1e3, direct / chosen);
    }
    text += '\n';
  }
  return text;
}

}  // namespace gas
