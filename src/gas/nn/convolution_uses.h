// Which convolutions a network makes, seen while it is evaluated.
#ifndef GAS_NN_CONVOLUTION_USES_H_
#define GAS_NN_CONVOLUTION_USES_H_

#include <cstdint>
#include <memory>
#include <vector>

namespace gas::nn {

struct Conv2dImpl;

// A layer with weights and the size of its output.
struct ConvolutionUse {
  std::shared_ptr<Conv2dImpl> layer;
  int64_t height = 0, width = 0;
};

// While one lives, it notes the convolution layers that are evaluated on this thread, in order.
class ConvolutionRecorder {
 public:
  ConvolutionRecorder();
  ~ConvolutionRecorder();
  ConvolutionRecorder(const ConvolutionRecorder&) = delete;
  ConvolutionRecorder& operator=(const ConvolutionRecorder&) = delete;
  const std::vector<ConvolutionUse>& uses() const { return uses_; }

 private:
  friend void NoteConvolution(Conv2dImpl& layer, int64_t height, int64_t width);
  std::vector<ConvolutionUse> uses_;
  ConvolutionRecorder* outer_;
};

// For the layer itself.
void NoteConvolution(Conv2dImpl& layer, int64_t height, int64_t width);

}  // namespace gas::nn

#endif  // GAS_NN_CONVOLUTION_USES_H_
