#include "gas/cli/machine.h"

#include <dlfcn.h>
#include <malloc.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "gas/core/sanitizers.h"
#include "gas/core/torch.h"

namespace gas::cli {
namespace {

template <class Function>
Function* Loaded(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// OpenBLAS as it is where it does not know the processor.
class OpenBlasKernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (core_name_ == nullptr || quit_ == nullptr || init_ == nullptr) GTEST_SKIP() << "no such OpenBLAS";
    if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "no kernels but the old ones";
    if (const char* asked = std::getenv("OPENBLAS_CORETYPE")) environment_ = asked;
    Choose("Prescott");
    ASSERT_STREQ(core_name_(), "Prescott");
    unsetenv("OPENBLAS_CORETYPE");
  }

  void TearDown() override {
    if (!environment_.empty()) setenv("OPENBLAS_CORETYPE", environment_.c_str(), 1);
  }

  void Choose(const char* core) {
    setenv("OPENBLAS_CORETYPE", core, 1);
    quit_();
    init_();
  }

  char* (*core_name_)() = Loaded<char*()>("openblas_get_corename");
  void (*quit_)() = Loaded<void()>("gotoblas_dynamic_quit");
  void (*init_)() = Loaded<void()>("gotoblas_dynamic_init");
  std::string environment_;
};

TEST_F(OpenBlasKernels, OldOnesGiveWayInThisVeryProcessAndProductsStayRight) {
  const Tensor a = torch::arange(300 * 500, torch::kFloat64).mul(0.7).sin().reshape({300, 500});
  const Tensor before = a.matmul(a.t());
  const Tensor before_float = a.to(torch::kFloat32).matmul(a.to(torch::kFloat32).t());
  PrepareMachine();
  EXPECT_STRNE(core_name_(), "Prescott");
  // Sums of 500 terms of at most 1, in another order.
  EXPECT_TRUE(a.matmul(a.t()).allclose(before, 0, 1e-12));
  EXPECT_TRUE(a.to(torch::kFloat32).matmul(a.to(torch::kFloat32).t()).allclose(before_float, 0, 1e-3));
  // A program that this one starts chooses for itself.
  EXPECT_EQ(std::getenv("OPENBLAS_CORETYPE"), nullptr);
}

TEST_F(OpenBlasKernels, AreTheUsersChoiceWhereTheEnvironmentHasOne) {
  setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  PrepareMachine();
  EXPECT_STREQ(core_name_(), "Prescott");
  unsetenv("OPENBLAS_CORETYPE");
}

#ifndef GAS_SANITIZED

size_t MappedBytes() { return mallinfo2().hblkhd; }

TEST(FreedMemory, OfLargeBlocksGoesBackAndOfOthersStays) {
  PrepareMachine();
  const size_t before = MappedBytes();
  {
    const Tensor large = torch::empty({33 << 20}, torch::kUInt8);
    EXPECT_GE(MappedBytes(), before + (33 << 20));
    const size_t with_large = MappedBytes();
    const Tensor other = torch::empty({16 << 20}, torch::kUInt8);
    EXPECT_EQ(MappedBytes(), with_large);
  }
  EXPECT_EQ(MappedBytes(), before);
}

#endif

}  // namespace
}  // namespace gas::cli
