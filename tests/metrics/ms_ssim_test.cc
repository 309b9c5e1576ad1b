#include "gas/metrics/ms_ssim.h"

#include "support/expect.h"
#include "support/gradient.h"

namespace gas {
namespace {

using testing::Close;

// Intensities in [0,2] of one grey image as rows, for an implementation that shares nothing with ours: a
// two-dimensional window, loops, no tensors.
using Rows = std::vector<std::vector<double>>;

Rows RowsOf(const Tensor& image) {
  Rows rows(image.size(0), std::vector<double>(image.size(1)));
  for (int64_t y = 0; y < image.size(0); ++y) {
    for (int64_t x = 0; x < image.size(1); ++x) rows[y][x] = image[y][x].item<double>() + 1;
  }
  return rows;
}

Rows Halved(const Rows& a) {
  Rows out(a.size() / 2, std::vector<double>(a[0].size() / 2));
  for (size_t y = 0; y < out.size(); ++y) {
    for (size_t x = 0; x < out[0].size(); ++x) {
      out[y][x] = (a[2 * y][2 * x] + a[2 * y][2 * x + 1] + a[2 * y + 1][2 * x] + a[2 * y + 1][2 * x + 1]) / 4;
    }
  }
  return out;
}

// The means over positions of contrast-structure and of its product with luminance.
std::pair<double, double> PlainTerms(const Rows& a, const Rows& b, int window) {
  const double c1 = 0.0004, c2 = 0.0036;  // (0.01 * 2)^2, (0.03 * 2)^2
  double structure_sum = 0, whole_sum = 0;
  int count = 0;
  for (size_t top = 0; top + window <= a.size(); ++top) {
    for (size_t left = 0; left + window <= a[0].size(); ++left) {
      double total = 0, ma = 0, mb = 0, va = 0, vb = 0, vab = 0;
      for (int pass = 0; pass < 2; ++pass) {
        for (int y = 0; y < window; ++y) {
          for (int x = 0; x < window; ++x) {
            const int below = y - window / 2, right = x - window / 2;
            const double dy = below, dx = right, w = std::exp(-(dy * dy + dx * dx) / 4.5);
            const double p = a[top + y][left + x], q = b[top + y][left + x];
            if (pass == 0) total += w, ma += w * p, mb += w * q;
            if (pass == 1)
              va += w * (p - ma) * (p - ma), vb += w * (q - mb) * (q - mb), vab += w * (p - ma) * (q - mb);
          }
        }
        if (pass == 0) ma /= total, mb /= total;
      }
      const double structure = (2 * vab / total + c2) / (va / total + vb / total + c2);
      structure_sum += structure;
      whole_sum += structure * (2 * ma * mb + c1) / (ma * ma + mb * mb + c1);
      ++count;
    }
  }
  return {structure_sum / count, whole_sum / count};
}

double PlainMsSsim(Rows a, Rows b, int scales, int window) {
  const double published[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  double total = 0, product = 1;
  for (int s = 0; s < scales; ++s) total += published[s];
  for (int s = 0; s < scales; ++s) {
    const auto [structure, whole] = PlainTerms(a, b, window);
    product *= std::pow(s + 1 == scales ? whole : structure, published[s] / total);
    a = Halved(a);
    b = Halved(b);
  }
  return product;
}

// Two images [B,C,H,W] that have something in common, float64.
std::pair<Tensor, Tensor> SomePair(at::IntArrayRef shape) {
  torch::manual_seed(5);
  const Tensor a = torch::rand(shape, torch::kFloat64) * 2 - 1;
  return {a, (0.7 * a + 0.5 * torch::rand(shape, torch::kFloat64)).clamp(-1, 1)};
}

TEST(MsSsim, AgreesWithPlainLoops) {
  struct Case {
    std::vector<int64_t> shape;
    int scales, window;
  };
  // 45 and 23 are odd: a row and a column are dropped. 64 x 28: the smaller side decides.
  for (const Case& c : {Case{{2, 1, 28, 28}, 2, 11}, Case{{1, 3, 32, 32}, 2, 11}, Case{{1, 1, 45, 47}, 3, 11},
                        Case{{1, 1, 64, 28}, 2, 11}, Case{{1, 2, 14, 14}, 1, 11}, Case{{1, 1, 8, 8}, 1, 7},
                        Case{{1, 1, 3, 5}, 1, 3}}) {
    const auto [a, b] = SomePair(c.shape);
    const Tensor actual = MsSsim(a, b);
    for (int64_t i = 0; i < c.shape[0]; ++i) {
      double mean = 0;
      for (int64_t channel = 0; channel < c.shape[1]; ++channel) {
        mean += PlainMsSsim(RowsOf(a[i][channel]), RowsOf(b[i][channel]), c.scales, c.window) / c.shape[1];
      }
      // Variances as differences of means of squares lose a few digits of float64.
      EXPECT_NEAR(actual[i].item<double>(), mean, 1e-11) << at::IntArrayRef(c.shape) << " image " << i;
    }
    // The same loss of digits in float32, with values of order 1.
    EXPECT_TRUE(
        Close(MsSsim(a.to(torch::kFloat32), b.to(torch::kFloat32)).to(torch::kFloat64), actual, 2e-5, 0));
  }
}

// Of constant images nothing but luminance at the last scale is left.
TEST(MsSsim, OfConstantImagesByHand) {
  const auto of = [](int64_t side, double p, double q) {
    const Tensor one = torch::ones({1, 1, side, side}, torch::kFloat64);
    return MsSsim(p * one, q * one).item<double>();
  };
  const double luminance = (2 * 1.5 * 1.25 + 0.0004) / (1.5 * 1.5 + 1.25 * 1.25 + 0.0004);
  EXPECT_NEAR(of(16, 0.5, 0.25), luminance, 1e-12);
  EXPECT_NEAR(of(28, 0.5, 0.25), std::pow(luminance, 0.2856 / (0.0448 + 0.2856)), 1e-12);
  EXPECT_NEAR(of(176, 0.5, 0.25), std::pow(luminance, 0.1333 / 1.0001),
              1e-12);  // published weights sum to 1.0001
}

TEST(MsSsim, Scales) {
  const std::map<int64_t, int64_t> expected = {{1, 1},  {11, 1}, {21, 1}, {22, 2}, {28, 2},  {32, 2},
                                               {43, 2}, {44, 3}, {64, 3}, {88, 4}, {176, 5}, {4096, 5}};
  for (const auto& [side, scales] : expected) EXPECT_EQ(MsSsimScales(side), scales) << side;
}

TEST(MsSsim, IsOneForEqualImagesAndSymmetric) {
  const auto [a, b] = SomePair({3, 3, 28, 28});
  EXPECT_TRUE(testing::SameBits(MsSsim(a, a), torch::ones({3}, torch::kFloat64)));
  EXPECT_TRUE(Close(MsSsim(b, a), MsSsim(a, b), 1e-14, 0));
  EXPECT_LT(MsSsim(a, b).max().item<double>(), 0.999);
  EXPECT_ERROR(MsSsim(a, b.slice(2, 0, 20)), Errc::kBadOption, "ms-ssim: images of shapes");
}

TEST(MsSsim, GradientIsThatOfDifferences) {
  for (const int64_t side : {28, 45, 9}) {
    const auto pair = SomePair({2, 1, side, side});
    const Tensor b = pair.second;
    EXPECT_TRUE(testing::GradientMatches([&](const Tensor& a) { return MsSsim(a, b).sum(); }, pair.first))
        << side;
  }
}

// Opposed images have negative structure, whose power does not exist.
TEST(MsSsim, OpposedImagesGiveNoNaN) {
  Tensor a = SomePair({1, 1, 28, 28}).first.requires_grad_();
  const Tensor similarity = MsSsim(a, -a.detach());
  EXPECT_NEAR(similarity.item<double>(), kMsSsimFloor, 1e-12);  // at both scales, whose weights sum to 1
  similarity.sum().backward();
  EXPECT_TRUE(a.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace gas
