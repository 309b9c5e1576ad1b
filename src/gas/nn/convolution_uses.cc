#include "gas/nn/convolution_uses.h"

#include "gas/nn/layers.h"

namespace gas::nn {
namespace {

thread_local ConvolutionRecorder* recorder = nullptr;

}  // namespace

ConvolutionRecorder::ConvolutionRecorder() : outer_(recorder) { recorder = this; }
ConvolutionRecorder::~ConvolutionRecorder() { recorder = outer_; }

void NoteConvolution(Conv2dImpl& layer, int64_t height, int64_t width) {
  if (recorder == nullptr) return;
  auto shared = std::static_pointer_cast<Conv2dImpl>(layer.shared_from_this());
  recorder->uses_.push_back({std::move(shared), height, width});
}

}  // namespace gas::nn
