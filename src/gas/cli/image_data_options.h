// The options that name the images of a pretraining run.
#ifndef GAS_CLI_IMAGE_DATA_OPTIONS_H_
#define GAS_CLI_IMAGE_DATA_OPTIONS_H_

#include <vector>

#include "gas/cli/options.h"
#include "gas/train/pretrain_data.h"

namespace gas::cli {

// data.folder, data.class_names, data.resolution and augment.*
std::vector<OptionRow> ImageDataRows();
PretrainData ReadImageData(const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_IMAGE_DATA_OPTIONS_H_
