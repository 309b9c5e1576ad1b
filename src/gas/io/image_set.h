// Labelled images, and their reader for the four files of the MNIST family.
#ifndef GAS_IO_IMAGE_SET_H_
#define GAS_IO_IMAGE_SET_H_

#include <filesystem>
#include <string>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

struct ImageSet {
  Tensor images;                         // [N,C,H,W] uint8
  Tensor labels;                         // [N] int64
  std::vector<std::string> class_names;  // of labels 0, 1, ...; empty if unknown
  int64_t size() const { return images.size(0); }
};

// Reads <split>-images-idx3-ubyte[.gz] and <split>-labels-idx1-ubyte[.gz]; split is "train" or "t10k". Throws
// Error(kUnavailable) if the folder lacks them, Error(kBadFile) if images and labels do not match. C = 1,
// without class names.
ImageSet ReadImageSet(const std::filesystem::path& folder, const std::string& split);

// uint8 to float32 in [-1, 1], the inverse of ToBytes.
inline Tensor ToSigned(const Tensor& bytes) { return bytes.to(torch::kFloat32) / 127.5 - 1; }

// Where Debian's dataset-fashion-mnist puts the files.
inline constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

}  // namespace gas

#endif  // GAS_IO_IMAGE_SET_H_
