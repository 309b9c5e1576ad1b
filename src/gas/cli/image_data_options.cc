#include "gas/cli/image_data_options.h"

#include "gas/core/split.h"

namespace gas::cli {
namespace {

constexpr const char* kAugmentation = "Augmentation";

// How images are moved.
std::vector<OptionRow> AugmentMoveRows() {
  return {
      {.key = "augment.shift",
       .flag = "--shift",
       .type = OptType::kReal,
       .def = "0",
       .min = 0,
       .max = 0.5,
       .help = "largest random shift, over the side",
       .group = kAugmentation},
      {.key = "augment.scale",
       .flag = "--scale",
       .type = OptType::kReal,
       .def = "0",
       .min = 0,
       .max = 0.9,
       .help = "largest random change of size, relative",
       .group = kAugmentation},
      {.key = "augment.rotate",
       .flag = "--rotate",
       .type = OptType::kReal,
       .def = "0",
       .min = 0,
       .max = 180,
       .help = "largest random rotation, in degrees",
       .group = kAugmentation},
  };
}

// How they are coloured and mirrored.
std::vector<OptionRow> AugmentLookRows() {
  return {
      {.key = "augment.hue",
       .flag = "--hue",
       .type = OptType::kReal,
       .def = "0",
       .min = 0,
       .max = 180,
       .help = "largest random turn of the colours around grey, in degrees",
       .group = kAugmentation},
      {.key = "augment.flip",
       .flag = "--flip",
       .type = OptType::kText,
       .def = "",
       .help = "classes of which half the images are mirrored, with commas between, or all [none]",
       .value = "NAMES",
       .group = kAugmentation},
  };
}

}  // namespace

std::vector<OptionRow> ImageDataRows() {
  const std::vector<OptionRow> rows = {
      {.key = "data.folder",
       .flag = "--data",
       .type = OptType::kText,
       .def = kFashionMnistFolder,
       .help = "PNG images in CLASS/ (or train/CLASS/ and test/CLASS/), or the four idx files of the MNIST "
               "family",
       .value = "FOLDER"},
      {.key = "data.class_names",
       .flag = "--class-names",
       .type = OptType::kText,
       .def = "",
       .help = "names of the classes, with commas between [those of the class folders]",
       .value = "NAMES"},
      {.key = "data.resolution",
       .flag = "--resolution",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 4096,
       .help = "pixels on a side; larger images are cut to squares and reduced; 0: as they are"},
  };
  return JoinedRows({rows, AugmentMoveRows(), AugmentLookRows()});
}

PretrainData ReadImageData(const Options& o) {
  return {.folder = o.Text("data.folder"),
          .class_names = SplitAt(o.Text("data.class_names"), ','),
          .resolution = o.Int("data.resolution"),
          .augment = {.shift = o.Real("augment.shift"),
                      .scale = o.Real("augment.scale"),
                      .rotate = o.Real("augment.rotate"),
                      .hue = o.Real("augment.hue")},
          .flip_classes = SplitAt(o.Text("augment.flip"), ',')};
}

}  // namespace gas::cli
