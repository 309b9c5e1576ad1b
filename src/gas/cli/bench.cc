#include <iostream>

#include "gas/cli/convolution_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/eval/speed.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> BenchRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "bench.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(SpeedOptions{}.batch),
       .min = 1,
       .max = 65536,
       .help = "images at once"},
      {.key = "bench.seconds",
       .flag = "--seconds",
       .type = OptType::kReal,
       .def = DefaultOf(SpeedOptions{}.seconds),
       .min = 0.01,
       .max = 600,
       .help = "time for each measurement"},
      {.key = "bench.json",
       .flag = "--json",
       .type = OptType::kFlag,
       .def = "false",
       .help = "print one JSON object"},
      ConvolutionOrAutoRow(),
      DeviceRow(),
      ThreadsRow(),
  };
}

Work PlanBench(const Options& o) {
  const SpeedOptions options{.batch = o.Int("bench.batch"), .seconds = o.Real("bench.seconds")};
  ModelRequest model{.options = {.config = o.Text("model.config"), .device = ReadDevice(o)}};
  const nn::PlanOptions convolution = ReadConvolution(o, model);
  return [options, model, convolution, name = o.Text("model.name"), json = o.Flag("bench.json")] {
    UseTf32(false);  // what is called float32 here is
    const SpeedRecord record = MeasureSpeed(name, model.options, options, convolution);
    std::cout << (json ? SpeedToJson(record).dump(1) + "\n" : SpeedText(record));
  };
}

}  // namespace

Verb BenchVerb() {
  return {"bench", "Measures this machine's peak, and how near the network and the sampler come to it.",
          "gas bench", BenchRows(), PlanBench};
}

}  // namespace gas::cli
