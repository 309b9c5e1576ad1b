#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>

#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/torch.h"

namespace {

int StatusOf(int argc, char** argv) try {
  // Never destroyed: a signal that comes while the program takes itself down changes nothing any more.
  alignas(gas::InterruptGuard) static std::byte guard[sizeof(gas::InterruptGuard)];
  new (guard) gas::InterruptGuard;
  return gas::cli::Run(argc, argv);
} catch (const gas::Error& e) {  // bad input or our bug: the code says which, and is the exit status
  std::cerr << "gas: " << e.what() << '\n';
  return static_cast<int>(e.code());
} catch (const c10::Error& e) {
  std::cerr << "gas: LibTorch: " << e.what_without_backtrace() << '\n';
  return static_cast<int>(gas::Errc::kInternal);
} catch (const std::bad_alloc&) {
  std::cerr << "gas: out of memory\n";
  return static_cast<int>(gas::Errc::kUnavailable);
} catch (const std::exception& e) {
  std::cerr << "gas: " << e.what() << '\n';
  return static_cast<int>(gas::Errc::kInternal);
}

}  // namespace

int main(int argc, char** argv) {
  const int status = StatusOf(argc, argv);
  std::fflush(nullptr);
  // LibTorch would take its tables of operators apart, a seventh of what a short run takes.
  std::_Exit(status);
}
