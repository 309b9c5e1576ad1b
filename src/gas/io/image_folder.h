// A folder of PNG images with one folder for each class.
//
//   FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png, or FOLDER/CLASS/*.png without images held out.
#ifndef GAS_IO_IMAGE_FOLDER_H_
#define GAS_IO_IMAGE_FOLDER_H_

#include <filesystem>
#include <string>

#include "gas/io/image_set.h"

namespace gas {

struct ImageFolderOptions {
  // Every image is cut to the square in its middle, and reduced to this side (each pixel the mean of what it
  // covers); a smaller one stays as it is. 0: nothing is cut or reduced.
  int64_t max_side = 0;
  uint64_t max_bytes = uint64_t{16} << 30;  // of all pixels together
};

// Whether `folder` has classes to read: folders that hold PNG files.
bool IsImageFolder(const std::filesystem::path& folder);

// The images of a split, "train" or "test"; a folder without FOLDER/train is all "train" and has no "test".
// Classes are the folders' names in byte order, images within a class likewise, transparency is laid on
// white, and 16 bits are reduced to 8. C = 1 if all images are grey, else 3. Other files than *.png (any
// case) and hidden ones are ignored. Throws Error(kUnavailable) without such a split, Error(kBadFile) naming
// the file or folder for a class without images, a file that is not a PNG, images that are not of one square
// size, and more pixels than max_bytes.
ImageSet ReadImageFolder(const std::filesystem::path& folder, const std::string& split,
                         const ImageFolderOptions& options = {});

// The PNG files that lie in `folder` itself, by name: [N,C,S,S] uint8, read and refused as those of a class.
Tensor ReadImages(const std::filesystem::path& folder, const ImageFolderOptions& options = {});

// images [...,H,W] float -> [...,side,side]: each pixel the mean of the area that it covers.
Tensor AreaResize(const Tensor& images, int64_t side);

}  // namespace gas

#endif  // GAS_IO_IMAGE_FOLDER_H_
