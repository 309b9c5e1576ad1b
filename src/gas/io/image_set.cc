#include "gas/io/image_set.h"

#include "gas/core/error.h"
#include "gas/io/idx.h"

namespace gas {
namespace {

Tensor ReadPart(const std::filesystem::path& folder, const std::string& stem) {
  for (const char* suffix : {".gz", ""}) {
    const auto path = folder / (stem + suffix);
    if (std::filesystem::exists(path)) return ReadIdx(path);
  }
  Fail(Errc::kUnavailable, folder.string(), ": no ", stem,
       "[.gz]; Debian's package dataset-fashion-mnist has it in ", kFashionMnistFolder);
}

}  // namespace

ImageSet ReadImageSet(const std::filesystem::path& folder, const std::string& split) {
  const Tensor images = ReadPart(folder, split + "-images-idx3-ubyte");
  const Tensor labels = ReadPart(folder, split + "-labels-idx1-ubyte");
  GAS_CHECK(images.dim() == 3 && images.dtype() == torch::kUInt8, Errc::kBadFile, folder.string(), ": ",
            split, " images have shape ", images.sizes(), ", must be [N, H, W] bytes");
  GAS_CHECK(labels.dim() == 1 && labels.dtype() == torch::kUInt8 && labels.size(0) == images.size(0),
            Errc::kBadFile, folder.string(), ": ", split, " labels have shape ", labels.sizes(),
            ", must be [", images.size(0), "] bytes");
  return {images.unsqueeze(1), labels.to(torch::kInt64), {}};
}

}  // namespace gas
