#include "gas/models/batch_parallel.h"

#include <atomic>
#include <thread>

#include "gas/models/model.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;

// Sets the number of threads for a scope.
class Threads {
 public:
  explicit Threads(int count) : before_(torch::get_num_threads()) { torch::set_num_threads(count); }
  ~Threads() { torch::set_num_threads(before_); }

 private:
  int before_;
};

Tensor Wave(const Tensor& images, const Tensor& shared, int64_t begin, int64_t end) {
  const Tensor row = torch::arange(begin, end, torch::kFloat64).view({-1, 1, 1, 1});
  return (images * shared).sin() * (row + 1);
}

TEST(ParallelOverBatch, ValueAndGradientsAreThoseOfTheWhole) {
  const Threads threads(3);
  torch::manual_seed(1);
  for (const int64_t batch : {1, 2, 3, 7}) {
    const Tensor x = torch::randn({batch, 2, 3, 3}, torch::kFloat64), shared = Scalar(1.3);
    const Tensor weight = torch::randn_like(x);
    const auto gradients = [&](bool parallel) {
      const Tensor images = x.clone().requires_grad_(), s = shared.clone().requires_grad_();
      const Tensor y = parallel ? ParallelOverBatch(images, s, Wave) : Wave(images, s, 0, batch);
      (y * weight).sum().backward();
      return std::vector<Tensor>{y.detach(), images.grad(), s.grad()};
    };
    const auto whole = gradients(false), parts = gradients(true);
    for (size_t i = 0; i < whole.size(); ++i)
      EXPECT_TRUE(Close(parts[i], whole[i], 1e-14, 0)) << batch << " " << i;
  }
}

TEST(ParallelOverBatch, OneOfTheTwoMayBeConstant) {
  const Threads threads(2);
  const Tensor x = torch::randn({4, 1, 2, 2}, torch::kFloat64);
  const Tensor images = x.clone().requires_grad_();
  ParallelOverBatch(images, Scalar(2), Wave).sum().backward();
  EXPECT_TRUE(images.grad().defined());
  const Tensor shared = Scalar(2).requires_grad_();
  ParallelOverBatch(x, shared, Wave).sum().backward();
  EXPECT_TRUE(shared.grad().defined());
  EXPECT_FALSE(ParallelOverBatch(x, Scalar(2), Wave).requires_grad());
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(ParallelOverBatch(images, shared, Wave).requires_grad());
}

TEST(ParallelOverBatch, UsesSeveralThreadsAndPassesErrorsOn) {
  const Threads threads(2);
  const Tensor x = torch::randn({4, 1, 2, 2}, torch::kFloat64);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> elsewhere = 0;
  ParallelOverBatch(x, Scalar(1), [&](const Tensor& images, const Tensor&, int64_t, int64_t) {
    if (std::this_thread::get_id() != caller) ++elsewhere;
    return images;
  });
  EXPECT_EQ(elsewhere, 1);
  EXPECT_ERROR(ParallelOverBatch(x, Scalar(1),
                                 [](const Tensor& images, const Tensor&, int64_t begin, int64_t) {
                                   GAS_CHECK(begin == 0, Errc::kNumeric, "rows from ", begin,
                                             " are not finite");
                                   return images;
                                 }),
               Errc::kNumeric, "rows from 2 are not finite");
}

TEST(ParallelOverBatch, ANetworkGivesTheSameImagesWhateverTheThreads) {
  const Model model = OpenModel("fashion");
  torch::manual_seed(2);
  const Tensor x = torch::randn({5, 1, 28, 28});
  const NoiseLevel at{Scalar(0.4), model.schedule->Alpha(Scalar(0.4)), model.schedule->Sigma(Scalar(0.4))};
  const Condition condition{torch::arange(5)};
  const torch::NoGradGuard no_grad;
  Tensor one, three;
  {
    const Threads threads(1);
    one = model.denoiser->Predict(x, at, condition);
  }
  {
    const Threads threads(3);
    three = model.denoiser->Predict(x, at, condition);
  }
  // Convolutions of parts of a batch may sum in another order.
  EXPECT_TRUE(Close(three, one, 1e-5, 0));
}

// 2 images on 16 threads: each operation has all threads, rather than two threads an image each.
TEST(ParallelOverBatch, FewImagesAreNotDividedAmongManyThreads) {
  EXPECT_TRUE(IsSplit(2, 2));
  EXPECT_TRUE(IsSplit(2, 3));
  EXPECT_FALSE(IsSplit(2, 4));
  EXPECT_FALSE(IsSplit(2, 16));
  EXPECT_TRUE(IsSplit(9, 16));
  EXPECT_FALSE(IsSplit(1, 2));
  const Threads threads(16);
  std::atomic<int64_t> calls = 0;
  const auto count = [&](const Tensor& images, const Tensor& shared, int64_t begin, int64_t end) {
    ++calls;
    return Wave(images, shared, begin, end);
  };
  ParallelOverBatch(torch::zeros({2, 1, 1, 1}, torch::kFloat64), Scalar(1), count);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace gas
