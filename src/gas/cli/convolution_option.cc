#include "gas/cli/convolution_option.h"

#include <iostream>

#include "gas/eval/convolution_choice.h"

namespace gas::cli {

OptionRow ConvolutionOrAutoRow() {
  return {.key = "run.convolution",
          .flag = "--convolution",
          .type = OptType::kChoice,
          .def = DefaultOf(nn::kConvolutionNames.NameOf(nn::ConvolutionMode::kDirect)),
          .help = "algorithm of the network's 3x3 convolutions, float32 on a CPU",
          .choices = nn::kConvolutionNames.choices()};
}

OptionRow ConvolutionRow() {
  OptionRow row = ConvolutionOrAutoRow();
  row.choices = nn::kRepeatableConvolutionNames.choices();
  return row;
}

std::string RecordedConvolution(const Options& options) {
  const auto mode = options.Enum("run.convolution", nn::kConvolutionNames);
  return mode == nn::ConvolutionMode::kDirect ? "" : std::string(nn::kConvolutionNames.NameOf(mode));
}

nn::PlanOptions ReadConvolution(const Options& options, const ModelRequest& model) {
  // A verb whose row does not list auto has refused it.
  const auto mode = options.Enum("run.convolution", nn::kConvolutionNames);
  if (mode == nn::ConvolutionMode::kWinograd) {
    GAS_CHECK(model.dtype == Dtype::kFloat32, Errc::kBadOption,
              "run.convolution = winograd needs run.dtype = float32, which is ",
              kDtypeOrAutoNames.NameOf(model.dtype));
    GAS_CHECK(model.options.device.is_cpu(), Errc::kBadOption,
              "run.convolution = winograd needs run.device = cpu, which is ", model.options.device.str());
  }
  return {.mode = mode, .times_file = nn::ConvolutionTimesFile()};
}

void UseConvolutions(const char* verb, const Model& model, torch::Dtype dtype,
                     const nn::PlanOptions& options) {
  const auto plan = ChooseConvolutions(model, dtype, options);
  if (!plan.empty()) std::cerr << "gas " << verb << ": " << ChoiceText(plan) << '\n';
}

}  // namespace gas::cli
