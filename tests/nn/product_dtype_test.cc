// In which dtypes a device has convolutions, and what is told of it.
#include "gas/nn/product_dtype.h"

#include "gas/core/autocast.h"
#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

TEST(ProductDtype, WhatTheDeviceLacksIsRefusedInOneSentence) {
  nn::CheckProductDtype(torch::kFloat32, torch::kCPU);
  const std::string message =
      "dtype float16: LibTorch cannot make such convolutions on cpu here, must be float32";
#if TORCH_VERSION_MAJOR < 2
  EXPECT_FALSE(nn::HasConvolutions(torch::kFloat16, torch::kCPU));
  // What is cast meanwhile says nothing of it.
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  EXPECT_FALSE(nn::HasConvolutions(torch::kFloat16, torch::kCPU));
#endif
  if (nn::HasConvolutions(torch::kFloat16, torch::kCPU)) {
    nn::CheckProductDtype(torch::kFloat16, torch::kCPU);
  } else {
    EXPECT_ERROR(nn::CheckProductDtype(torch::kFloat16, torch::kCPU), Errc::kUnavailable, message);
  }
}

TEST(ProductDtype, OnlyASlowOneIsTold) {
  EXPECT_EQ(nn::SlowDtypeText(torch::kFloat16, 2), "float16 takes 2.00 times as long as float32 here");
  EXPECT_FALSE(nn::SlowDtypeText(torch::kFloat16, 1.05));
}

TEST(ProductDtype, TheGuardCastsProductsToItAndRestoresWhatWas) {
  SKIP_WITHOUT_BFLOAT16();
  const Tensor a = torch::ones({2, 2});
  const auto type = [&] { return torch::mm(a, a).scalar_type(); };
  const AutocastGuard outer(torch::kCPU, torch::kBFloat16);
  EXPECT_EQ(type(), torch::kBFloat16);
  {
    const AutocastGuard none(torch::kCPU, torch::kFloat32);
    EXPECT_EQ(type(), torch::kFloat32);
  }
  EXPECT_EQ(type(), torch::kBFloat16);
  if (!nn::HasConvolutions(torch::kFloat16, torch::kCPU)) return;
  {
    const AutocastGuard half(torch::kCPU, torch::kFloat16);
    EXPECT_EQ(type(), torch::kFloat16);
  }
  EXPECT_EQ(type(), torch::kBFloat16);
}

}  // namespace
}  // namespace gas
