#include "gas/nn/flops.h"

namespace gas::nn {
namespace {

thread_local FlopCounter* current = nullptr;

}  // namespace

FlopCounter::FlopCounter() : outer_(current) { current = this; }
FlopCounter::~FlopCounter() { current = outer_; }

void CountFlops(double flops) {
  for (FlopCounter* counter = current; counter != nullptr; counter = counter->outer_)
    counter->flops_ += flops;
}

}  // namespace gas::nn
