#include "gas/train/copies.h"

#include <iostream>

#include <fmt/format.h>

#include "gas/cli/image_data_options.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/io/png.h"
#include "gas/models/embedded.h"
#include "gas/report/image_grid.h"

namespace gas::cli {
namespace {

constexpr const char* kGroup = "Measurement";

std::vector<OptionRow> CopiesRows() {
  const std::vector<OptionRow> rows = {
      {.key = "copies.samples",
       .flag = "--samples",
       .type = OptType::kText,
       .def = "runs/samples",
       .help = "the model's samples, a PNG file each (gas sample)",
       .value = "FOLDER",
       .group = kGroup},
      {.key = "copies.features",
       .flag = "--features",
       .type = OptType::kText,
       .def = "",
       .help = "feature network made for the data, to compare in its features too: an embedded one or a path "
               "[none]",
       .value = "FILE",
       .group = kGroup},
      {.key = "copies.draws",
       .flag = "--draws",
       .type = OptType::kInt,
       .def = DefaultOf(CopiesOptions{}.draws),
       .min = 0,
       .max = 1000,
       .help = "random changes of each training image to compare with, beside the image itself",
       .group = kGroup},
      {.key = "copies.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "PNG of the samples nearest to a training image, with those images below [none]",
       .value = "FILE",
       .group = kGroup},
  };
  return JoinedRows({rows, ImageDataRows(), {ThreadsRow()}});
}

void PrintRow(const char* name, const CopyCount& c, int64_t samples) {
  std::cout << fmt::format("| {} | {:.4f} | {:.4f} | {:.4f} | {} ({:.1f} %) |\n", name, c.sample_median,
                           c.held_out_median, c.threshold, c.nearer,
                           100.0 * static_cast<double>(c.nearer) / static_cast<double>(samples));
}

void Print(const CopiesReport& r) {
  std::cout << fmt::format(
                   "{} samples, {} training images, {} held out; distances to the nearest training image\n\n",
                   r.samples, r.training, r.held_out)
            << "| in | samples, median | held out, median | held out, 5 % | samples nearer than that |\n"
               "|---|---|---|---|---|\n";
  PrintRow("pixels", r.pixels, r.samples);
  if (r.features) PrintRow("features", *r.features, r.samples);
}

void RunCopies(const CopiesOptions& options, const std::filesystem::path& out) {
  const CopiesReport report = CountCopiesIn(options);
  Print(report);
  if (out.empty()) return;
  WritePng(out, LabelledGrid({{"sample", report.closest_samples}, {"nearest", report.closest_training}}));
  std::cout << "picture: " << out.string() << '\n';
}

Work PlanCopies(const Options& o) {
  CopiesOptions options = {
      .data = ReadImageData(o), .samples = o.Text("copies.samples"), .draws = o.Int("copies.draws")};
  const std::string& features = o.Text("copies.features");
  if (!features.empty()) options.features = FeatureFile(features);
  return [options, out = std::filesystem::path(o.Text("copies.out"))] { RunCopies(options, out); };
}

}  // namespace

Verb CopiesVerb() {
  return {"copies", "Counts samples that are nearer to a training image than new images are.",
          "gas copies --samples runs/samples --data emoji --resolution 32", CopiesRows(), PlanCopies};
}

}  // namespace gas::cli
