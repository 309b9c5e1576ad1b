// How long a 3x3 convolution takes in each way on this machine, measured once and remembered.
#ifndef GAS_NN_CONVOLUTION_TIMES_H_
#define GAS_NN_CONVOLUTION_TIMES_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace gas::nn {

// Of stride 1 and padding 1; height and width of the images.
struct ConvolutionSize {
  int64_t in = 0, out = 0, height = 0, width = 0;
};

// Seconds of one thread for one image.
struct ConvolutionSeconds {
  double direct = 0;         // LibTorch's
  double two = 0, four = 0;  // Winograd's algorithm with tiles of 2x2 and of 4x4
  double packed = 0;         // LibTorch's with packed weights; `direct` where it has none
};

// $XDG_CACHE_HOME/gas/convolutions.json, or under $HOME/.cache; empty where neither is set.
std::filesystem::path ConvolutionTimesFile();

class ConvolutionTimes {
 public:
  // Times of other processors and versions of LibTorch stay in the file and are not used. A file that cannot
  // be read counts as empty; an empty path is no file.
  explicit ConvolutionTimes(std::filesystem::path file);

  // As remembered, or else measured: the fastest of a few runs of each, in turn. Images above 64x64 are
  // measured by a part of that size, of which they take a multiple.
  ConvolutionSeconds Of(const ConvolutionSize& size);

  // Writes what was measured, beside what others have written meanwhile, whole or not at all. A file that
  // cannot be written is left: then the next run measures again.
  void Save() const;

 private:
  std::filesystem::path file_;
  std::string machine_;
  std::map<std::string, ConvolutionSeconds> known_, measured_;
};

}  // namespace gas::nn

#endif  // GAS_NN_CONVOLUTION_TIMES_H_
