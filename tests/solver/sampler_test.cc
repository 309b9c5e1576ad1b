#include "gas/solver/sampler.h"

#include <functional>

#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/registry.h"
#include "gas/solver/unipc.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

// Depends on the state, and on all three numbers of the noise level, in a way that is not linear.
class CurvedDenoiser : public Denoiser {
 public:
  explicit CurvedDenoiser(PredictionType type) : type_(type) {}
  PredictionType prediction_type() const override { return type_; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
    const Tensor x0 = torch::tanh(x * at.alpha) * (1 + 0.25 * torch::sin(3 * at.t)) + 0.1 * at.sigma * x;
    return testing::OutputFor(type_, x, x0, at).to(x.scalar_type());
  }

 private:
  PredictionType type_;
};

// A table with every entry in use, decoupled times included.
StepTable DenseTable(int64_t n) {
  const SchedulePtr schedule = VpLinearSchedule();
  torch::manual_seed(3);
  StepTable table;
  table.method = "dense";
  table.t = MakeGrid("quadratic", *schedule, n, 1e-2);
  table.t_eval = table.t.slice(0, 0, n) * 0.97;
  table.alpha = schedule->Alpha(table.t.slice(0, 0, n));
  table.sigma = schedule->Sigma(table.t.slice(0, 0, n));
  table.alpha_eval = schedule->Alpha(table.t_eval);
  table.sigma_eval = schedule->Sigma(table.t_eval);
  table.a = (0.3 * torch::randn({n, n}, torch::kFloat64)).tril();
  table.b = (0.3 * torch::randn({n, n}, torch::kFloat64)).tril();
  table.prior_std = 1.5;
  return table;
}

Tensor Noise(at::IntArrayRef shape = {2, 3, 1, 2}) {
  torch::manual_seed(5);
  return torch::randn(shape, torch::kFloat64);
}

Tensor Loss(const Tensor& sample) {
  return (sample * torch::linspace(-1, 1, sample.numel(), torch::kFloat64).view_as(sample)).sum();
}

// The definition in step_table.h, word for word.
Tensor ByDefinition(const StepTable& table, const Denoiser& denoiser, const Tensor& noise) {
  std::vector<Tensor> x{noise * table.prior_std}, m;
  for (int64_t n = 0; n < table.nfe(); ++n) {
    const NoiseLevel at{table.t_eval[n], table.alpha_eval[n], table.sigma_eval[n]};
    const auto w = DataPredictionOf(denoiser.prediction_type(), at, table.alpha[n], table.sigma[n]);
    m.push_back(w.state * x[n] + w.network * denoiser.Predict(x[n], at, {}));
    Tensor next = torch::zeros_like(noise);
    for (int64_t j = 0; j <= n; ++j) next = next + table.a[n][j] * x[j] + table.b[n][j] * m[j];
    x.push_back(next);
  }
  return x.back();
}

TEST(Sampler, IsItsDefinition) {
  const StepTable table = DenseTable(4);
  for (const auto type :
       {PredictionType::kNoise, PredictionType::kData, PredictionType::kVelocity, PredictionType::kFlow}) {
    const CurvedDenoiser network(type);
    const Tensor expected = ByDefinition(table, network, Noise());
    EXPECT_TRUE(testing::Close(RunTable(table, network, Noise(), {}), expected, 1e-13, 0));
    StepTable traced = table;
    traced.a = table.a.clone().requires_grad_();
    EXPECT_TRUE(testing::Close(RunTable(traced, network, Noise(), {}), expected, 1e-13, 0));
    const Tensor single = RunTable(table, network, Noise().to(torch::kFloat32), {});
    EXPECT_EQ(single.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(testing::Close(single, expected, 1e-4, 0));
    traced.t_eval = table.t_eval.clone().requires_grad_();
    EXPECT_EQ(RunTable(traced, network, Noise().to(torch::kFloat32), {}).scalar_type(), torch::kFloat32);
  }
}

// Video, one-dimensional data, single numbers: rows treat all entries of a state alike.
TEST(Sampler, RunsStatesOfAnyRank) {
  const StepTable table = DenseTable(4);
  const CurvedDenoiser network(PredictionType::kVelocity);
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{6}, {6, 5}, {2, 3, 7}, {2, 3, 4, 5}, {2, 3, 2, 4, 5}}) {
    const Tensor noise = Noise(shape);
    const Tensor sample = RunTable(table, network, noise, {});
    EXPECT_EQ(sample.sizes(), noise.sizes());
    EXPECT_TRUE(testing::Close(sample, ByDefinition(table, network, noise), 1e-13, 0)) << shape.size();
    StepTable traced = table;
    traced.b = table.b.clone().requires_grad_();
    SampleOptions options;
    options.recomputed = kAllEvaluations;
    const Tensor again = RunTable(traced, network, noise, {}, options);
    EXPECT_TRUE(testing::Close(again.detach(), sample, 1e-13, 0)) << shape.size();
    Loss(again).backward();
    EXPECT_EQ(traced.b.grad().tril().count_nonzero().item<int64_t>(), 10) << shape.size();
  }
}

TEST(Sampler, SpectralTablesAskForImages) {
  StepTable table = DenseTable(2);
  table.basis = MakeSpectralBasis({3, 4, 4}, 2);
  for (Tensor* m : {&table.a, &table.b}) *m = m->view({2, 2, 1, 1}).expand({2, 2, 3, 2}).contiguous();
  const CurvedDenoiser network(PredictionType::kData);
  EXPECT_NO_THROW(RunTable(table, network, Noise({2, 3, 4, 4}), {}));
  EXPECT_ERROR(RunTable(table, network, Noise({2, 3, 2, 4, 4}), {}), Errc::kBadOption,
               "spectral table for states of shape [3, 4, 4], not [3, 2, 4, 4]");
  EXPECT_ERROR(RunTable(table, network, Noise({2, 48}), {}), Errc::kBadOption, "not [48]");
}

TEST(Sampler, ReportsEveryStateAndPrediction) {
  const StepTable table = DenseTable(3);
  const CurvedDenoiser network(PredictionType::kNoise);
  std::vector<int64_t> states, predictions;
  SampleOptions options;
  Tensor last;
  options.on_state = [&](int64_t n, const Tensor& x) { states.push_back(n), last = x; };
  options.on_data_prediction = [&](int64_t n, const Tensor&) { predictions.push_back(n); };
  const Tensor sample = RunTable(table, network, Noise(), {}, options);
  EXPECT_EQ(states, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(predictions, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_TRUE(testing::SameBits(last, sample));
}

TEST(Sampler, LeavesTheNoiseAlone) {
  const Tensor noise = Noise(), before = noise.clone();
  StepTable table = DenseTable(3);
  table.prior_std = 1;
  RunTable(table, CurvedDenoiser(PredictionType::kData), noise, {});
  EXPECT_TRUE(testing::SameBits(noise, before));
}

// A first-order solver needs one state at a time, whatever the number of steps.
TEST(Sampler, ReleasesWhatNoRowReads) {
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table = DdimTable(*schedule, MakeGrid("uniform", *schedule, 6, 1e-3));
  std::vector<c10::weak_intrusive_ptr<at::TensorImpl>> seen;
  SampleOptions options;
  options.on_state = [&](int64_t n, const Tensor& x) {
    EXPECT_TRUE(n == 0 || seen.back().expired()) << "state " << n - 1 << " is alive at state " << n;
    seen.emplace_back(x.getIntrusivePtr());
  };
  RunTable(table, CurvedDenoiser(PredictionType::kData), Noise(), {}, options);
}

// ---- Gradients ----

using Member = Tensor StepTable::*;
const std::map<std::string, Member> kTrained = {{"t_eval", &StepTable::t_eval},
                                                {"alpha", &StepTable::alpha},
                                                {"sigma", &StepTable::sigma},
                                                {"alpha_eval", &StepTable::alpha_eval},
                                                {"sigma_eval", &StepTable::sigma_eval},
                                                {"a", &StepTable::a},
                                                {"b", &StepTable::b}};

// Gradients of the loss in every entry of the table and in the noise, by name.
std::map<std::string, Tensor> Gradients(const StepTable& plain, const Denoiser& denoiser, bool checkpoint) {
  StepTable table = plain;
  std::map<std::string, Tensor> leaves{{"noise", Noise().requires_grad_()}};
  for (const auto& [name, member] : kTrained)
    leaves[name] = table.*member = (plain.*member).clone().requires_grad_();
  SampleOptions options;
  options.recomputed = checkpoint ? kAllEvaluations : 0;
  Loss(RunTable(table, denoiser, leaves["noise"], {}, options)).backward();
  std::map<std::string, Tensor> gradients;
  for (const auto& [name, leaf] : leaves) gradients[name] = leaf.grad();
  return gradients;
}

TEST(SamplerGradient, AgreesWithFiniteDifferences) {
  const StepTable table = DenseTable(3);
  for (const auto type : {PredictionType::kNoise, PredictionType::kVelocity}) {
    const CurvedDenoiser network(type);
    const auto gradients = Gradients(table, network, false);
    for (const auto& [name, member] : kTrained) {
      const Tensor& gradient = gradients.at(name);
      ASSERT_TRUE(gradient.defined()) << name;
      for (int64_t i = 0; i < gradient.numel(); ++i) {
        const bool above = gradient.dim() == 2 && i % table.nfe() > i / table.nfe();
        if (above) continue;
        const auto shifted = [&, member = member](double step) {
          StepTable moved = table;
          moved.*member = (table.*member).clone();
          (moved.*member).view({-1})[i] += step;
          return Loss(RunTable(moved, network, Noise(), {})).item<double>();
        };
        const double expected = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
        EXPECT_NEAR(gradient.reshape({-1})[i].item<double>(), expected, 1e-6 * (1 + std::abs(expected)))
            << name << i;
      }
    }
  }
}

TEST(SamplerGradient, CheckpointsGiveTheSame) {
  const StepTable table = DenseTable(4);
  for (const auto type : {PredictionType::kNoise, PredictionType::kData}) {
    const CurvedDenoiser network(type);
    const auto plain = Gradients(table, network, false), again = Gradients(table, network, true);
    for (const auto& [name, gradient] : plain) {
      // Not to the bit: autograd adds the contributions to a state in another order.
      EXPECT_TRUE(testing::Close(again.at(name), gradient, 1e-11, 0)) << name;
      EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
    }
  }
}

TEST(SamplerGradient, CheckpointsEvaluateOnceForwardAndOnceBackward) {
  const CurvedDenoiser network(PredictionType::kNoise);
  const CountingDenoiser counting(network);
  StepTable table = DenseTable(4);
  table.t_eval.requires_grad_();
  SampleOptions options;
  options.recomputed = kAllEvaluations;
  const Tensor sample = RunTable(table, counting, Noise(), {}, options);
  EXPECT_EQ(counting.count(), 4);
  Loss(sample).backward();
  EXPECT_EQ(counting.count(), 8);
}

// Scales and shifts what it predicts by a tensor of the condition and by the label, and keeps what it saw.
class ConditionedDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    seen.push_back(condition);
    const Tensor text = condition.tensors.at("text"), scale = condition.tensors.at("scale");
    const Tensor shift = text.mean({1, 2}) + condition.labels.to(torch::kFloat64);
    return torch::tanh(x * at.alpha * scale.view({-1, 1, 1, 1})) + shift.view({-1, 1, 1, 1});
  }
  mutable std::vector<Condition> seen;
};

TEST(SamplerGradient, CheckpointsCarryWholeConditions) {
  torch::manual_seed(8);
  const Condition condition{torch::tensor({3, -1}, torch::kInt64),
                            {{"text", torch::randn({2, 4, 3}, torch::kFloat64)},
                             {"scale", torch::rand({2}, torch::kFloat64) + 0.5}}};
  std::vector<Tensor> gradients;
  for (const bool checkpoint : {false, true}) {
    const ConditionedDenoiser network;
    StepTable table = DenseTable(3);
    table.t_eval.requires_grad_();
    table.alpha_eval.requires_grad_();
    table.b.requires_grad_();
    SampleOptions options;
    options.recomputed = checkpoint ? kAllEvaluations : 0;
    Loss(RunTable(table, network, Noise(), condition, options)).backward();
    gradients.push_back(torch::cat({table.alpha_eval.grad(), table.b.grad().flatten()}));
    ASSERT_EQ(network.seen.size(), checkpoint ? 6u : 3u);
    for (const Condition& seen : network.seen) {
      EXPECT_TRUE(seen.labels.is_same(condition.labels));
      ASSERT_EQ(seen.tensors.size(), 2u);
      for (const auto& [name, tensor] : condition.tensors) {
        EXPECT_TRUE(seen.tensors.at(name).is_same(tensor)) << name;
      }
    }
  }
  EXPECT_TRUE(testing::Close(gradients[1], gradients[0], 1e-11, 0));
  EXPECT_GT(gradients[0].abs().max().item<double>(), 0);
}

// A student starts from zeros, which must not be skipped as the zeros of a fixed table are.
TEST(SamplerGradient, TrainedZerosHaveGradients) {
  StepTable table = DenseTable(3);
  table.a = torch::zeros({3, 3}, torch::kFloat64).requires_grad_();
  Loss(RunTable(table, CurvedDenoiser(PredictionType::kData), Noise(), {})).backward();
  EXPECT_EQ(table.a.grad().tril().count_nonzero().item<int64_t>(), 6);
  EXPECT_EQ(table.a.grad().triu(1).count_nonzero().item<int64_t>(), 0);
}

TEST(SamplerGradient, NoGraphWithoutNeed) {
  const CurvedDenoiser network(PredictionType::kNoise);
  StepTable table = DenseTable(3);
  EXPECT_FALSE(RunTable(table, network, Noise(), {}).requires_grad());
  table.b.requires_grad_();
  EXPECT_TRUE(RunTable(table, network, Noise(), {}).requires_grad());
  EXPECT_FALSE(RunTable(table.Detached(), network, Noise(), {}).requires_grad());
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(RunTable(table, network, Noise(), {}).requires_grad());
}

// ---- Refusals ----

TEST(ValidateTable, NamesWhatIsWrong) {
  const auto broken = [](auto&& change) {
    StepTable table = DenseTable(3);
    change(table);
    return table;
  };
  EXPECT_NO_THROW(ValidateTable(DenseTable(1)));
  EXPECT_ERROR(ValidateTable(StepTable()), Errc::kBadOption, "t_eval");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.a[0][2] = 1; })), Errc::kBadOption,
               "0 above the diagonal");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.b[2][0] = std::nan(""); })), Errc::kBadOption,
               "b has an infinite");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.t = t.t_eval; })), Errc::kBadOption,
               "t is not a float64");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.sigma = Tensor(); })), Errc::kBadOption,
               "sigma is not");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.a = t.a.to(torch::kFloat32); })), Errc::kBadOption,
               "a is not");
  EXPECT_ERROR(ValidateTable(broken([](StepTable& t) { t.prior_std = 0; })), Errc::kBadOption,
               "prior_std = 0");
}

TEST(Sampler, RefusesWhatIsNotNoise) {
  const CurvedDenoiser network(PredictionType::kData);
  EXPECT_ERROR(RunTable(DenseTable(2), network, torch::ones({2, 3}, torch::kInt64), {}), Errc::kBadOption,
               "noise");
  EXPECT_ERROR(RunTable(DenseTable(2), network, Tensor(), {}), Errc::kBadOption, "noise");
}

// Finite in the table, but not in the type of the states.
TEST(Sampler, NumbersBeyondTheStatesTypeAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.2, 0.5);
  const StepTable table = MakeSolverTable("ddim", *schedule, "", 3, 1e-3).Detached();
  const auto expect = [&](const std::function<void(StepTable&)>& change, const char* message) {
    StepTable changed = table;
    change(changed);
    EXPECT_ERROR(RunTable(changed, network, torch::ones({1, 2}, torch::kFloat32), {}), Errc::kNumeric,
                 message);
    EXPECT_NO_THROW(RunTable(changed, network, torch::ones({1, 2}, torch::kFloat64), {}));
  };
  expect(
      [](StepTable& t) {
        t.b = t.b.clone();
        t.b[1][0] = -1e39;
      },
      "coefficients of the table up to 1e+39, must be in the range of the states' type, Float");
  expect([](StepTable& t) { t.prior_std = 1e39; }, "prior_std of the table up to 1e+39");
  expect(
      [](StepTable& t) {
        t.alpha = t.alpha.clone();
        t.alpha[0] = 1e-45;
      },
      "weights of the network's output");
}

}  // namespace
}  // namespace gas
