// R3GAN's discriminator and the losses on it against the reference, every case in the folder.
#include <torch/optim/adam.h>

#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/ops.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adversarial_loss.h"
#include "models/r3gan_reference.h"
#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

using nlohmann::json;
using r3gan::R3ganDiscriminator;
using testing::Close;
using testing::Fixture;
using testing::NamesWhere;
using testing::Reference;
using testing::ReferenceNames;
using testing::ReferenceOf;
using testing::TensorsBelow;
using testing::WorstError;

// Worst errors of a precision over all references, by kind of number.
struct Worst {
  explicit Worst(const std::string& precision)
      : values("r3gan logits, losses, penalties " + precision), gradients("r3gan gradients " + precision) {}
  WorstError values, gradients;
};

struct R3ganTolerances {
  double value, gradient;
};

// Gradients of an earlier precision would keep their dtype, and sums in it.
void ForgetGradients(torch::nn::Module& network) {
  for (Tensor& parameter : network.parameters()) parameter.mutable_grad() = Tensor();
}

void CheckDiscriminatorLoss(const Reference& reference, R3ganDiscriminator& network,
                            const LabelledImages& real, const LabelledImages& fake, const std::string& suffix,
                            const R3ganTolerances& tolerance, Worst& worst) {
  const Fixture& f = reference.fixture;
  const double gamma = f.json().at("gamma");
  const DiscriminatorLoss loss = DiscriminatorLossOf(network, real, fake, {.gamma = gamma});
  const Tensor total = loss.adversarial + gamma / 2 * (loss.r1 + loss.r2);
  const std::vector<std::pair<std::string, Tensor>> values = {{"logits_real", loss.real_logits},
                                                              {"logits_fake", loss.fake_logits},
                                                              {"d_adv", loss.adversarial},
                                                              {"d_r1", loss.r1},
                                                              {"d_r2", loss.r2},
                                                              {"d_loss", total}};
  for (const auto& [name, value] : values) {
    EXPECT_TRUE(Close(value, f.at(name + suffix), tolerance.value, 0)) << name;
    worst.values.Add(value, f.at(name + suffix), name + suffix);
  }
  // The difference of logits is small beside them, and inherits their absolute error.
  EXPECT_TRUE(Close(loss.real_logits - loss.fake_logits, f.at("d_relativistic" + suffix), tolerance.value,
                    tolerance.value * f.at("logits_real" + suffix).abs().max().item<double>()));
  ForgetGradients(network);
  loss.loss.backward();
  double largest = 0;
  for (const Tensor& parameter : network.parameters()) {
    largest = std::max(largest, parameter.grad().abs().max().item<double>());
  }
  // A bias' gradient is a sum over samples and positions whose terms cancel (real against fake ones), so it
  // can be as small as it likes beside the terms, whose rounding it keeps.
  const double floor = 0.01 * tolerance.gradient * largest;
  for (const auto& [name, parameter] : NamedParameters(network)) {
    const std::string entry = "grad" + suffix + "/" + reference.grad_prefix + name;
    if (!f.Has(entry)) {
      EXPECT_EQ(suffix, "")
          << entry;  // float32 gradients are stored for some references only, float64 for all
      continue;
    }
    EXPECT_TRUE(Close(parameter.grad(), f.at(entry), tolerance.gradient, floor)) << name;
    worst.gradients.Add(parameter.grad(), f.at(entry), entry);
  }
}

void CheckStudentLoss(const Reference& reference, R3ganDiscriminator& network, const LabelledImages& real,
                      const LabelledImages& fake, const std::string& suffix, const R3ganTolerances& tolerance,
                      Worst& worst) {
  const Fixture& f = reference.fixture;
  ForgetGradients(network);
  const LabelledImages attached{fake.images.clone().requires_grad_(), fake.labels};
  const StudentLoss loss = StudentLossOf(network, real, attached, {});
  EXPECT_TRUE(Close(loss.adversarial, f.at("g_loss" + suffix), tolerance.value, 0));
  loss.loss.backward();
  for (const auto& [name, parameter] : NamedParameters(network)) {
    EXPECT_TRUE(parameter.requires_grad()) << name;
    EXPECT_FALSE(parameter.grad().defined() && parameter.grad().any().item<bool>()) << name;
  }
  if (!f.Has("grad_fake" + suffix)) return;
  EXPECT_TRUE(Close(attached.images.grad(), f.at("grad_fake" + suffix), tolerance.gradient, 0));
  worst.gradients.Add(attached.images.grad(), f.at("grad_fake" + suffix), "grad_fake" + suffix);
}

TEST(R3gan, EveryReferenceInBothPrecisions) {
  const auto names = ReferenceNames();
  ASSERT_GE(names.size(), 4u);
  Worst worst_f64("float64"), worst_f32("float32");
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    Reference reference = ReferenceOf(name);
    reference.config.bfloat16_stages.clear();
    const auto network = r3gan::DiscriminatorFromTensors(reference.config, reference.weights, name);
    // Conditions are one-hot.
    const Tensor labels =
        reference.fixture.Has("conditions") ? reference.fixture.at("conditions").argmax(1) : Tensor();
    for (const bool wide : {false, true}) {
      const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
      network->to(dtype);
      const LabelledImages real{reference.fixture.at("real").to(dtype), labels};
      const LabelledImages fake{reference.fixture.at("fake").to(dtype), labels};
      // As the fixtures state them: sums in another order.
      const R3ganTolerances tolerance = wide ? R3ganTolerances{1e-9, 1e-9} : R3ganTolerances{1e-5, 1e-4};
      Worst& worst = wide ? worst_f64 : worst_f32;
      CheckDiscriminatorLoss(reference, *network, real, fake, wide ? "_f64" : "", tolerance, worst);
      CheckStudentLoss(reference, *network, real, fake, wide ? "_f64" : "", tolerance, worst);
    }
  }
}

TEST(R3gan, OneStepOfAdam) {
  const auto names = NamesWhere([](const std::string&, const json& file) {
    return file.contains("gamma") && file.at("tensors").contains("after_step/ExtractionLayer.Layer.weight");
  });
  ASSERT_FALSE(names.empty());
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Reference reference = ReferenceOf(name);
    const Fixture& f = reference.fixture;
    const auto network = r3gan::DiscriminatorFromTensors(reference.config, reference.weights, name);
    torch::optim::Adam adam(network->parameters(),
                            torch::optim::AdamOptions(f.json().at("lr").get<double>()));
    DiscriminatorLossOf(*network, {f.at("real"), {}}, {f.at("fake"), {}}, {.gamma = f.json().at("gamma")})
        .loss.backward();
    adam.step();
    int64_t settled_count = 0, count = 0;
    for (const auto& [weight, value] : NamedParameters(*network)) {
      // A step is lr times the gradient's sign but for entries within rounding of zero, whose sign is not
      // settled.
      const Tensor gradient = f.at("grad_f64/" + weight).abs();
      const Tensor settled = gradient > 1e-4 * gradient.max();
      settled_count += settled.sum().item<int64_t>();
      count += settled.numel();
      EXPECT_TRUE(
          Close(value.masked_select(settled), f.at("after_step/" + weight).masked_select(settled), 0, 1e-7))
          << weight;
    }
    EXPECT_GT(settled_count, count * 9 / 10);
  }
}

// Snapshots ask for bfloat16 in all stages but the last.
TEST(R3gan, SnapshotsAsStoredInBfloat16) {
  SKIP_WITHOUT_BFLOAT16();
  const auto names =
      NamesWhere([](const std::string& stem, const json&) { return stem.ends_with(testing::kSnapshotEnd); });
  ASSERT_FALSE(names.empty());
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Reference reference = ReferenceOf(name);
    const Fixture& f = reference.fixture;
    EXPECT_EQ(reference.config.bfloat16_stages.size(), 3u);
    const auto network = r3gan::DiscriminatorFromTensors(reference.config, reference.weights, name);
    bool differs = false;
    for (const std::string which : {"real", "fake"}) {
      const Tensor logits = network->forward(f.at(which), {});
      EXPECT_EQ(logits.scalar_type(), torch::kFloat32);
      EXPECT_TRUE(Close(logits, f.at("logits_" + which + "_bf16"), 0.05, 0.05));  // as the fixtures state it
      // Three digits of bfloat16 through ten layers; far closer than that would mean that float32 was used.
      EXPECT_TRUE(Close(logits, f.at("logits_" + which), 0.02, 0));
      differs = differs || !Close(logits, f.at("logits_" + which), 1e-5, 0);
    }
    EXPECT_TRUE(differs);
    const auto loss = DiscriminatorLossOf(*network, {f.at("real"), {}}, {f.at("fake"), {}}, {.gamma = 0.2});
    loss.loss.backward();
    for (const auto& [weight, value] : NamedParameters(*network)) {
      EXPECT_TRUE(value.grad().isfinite().all().item<bool>()) << weight;
    }
  }
}

TEST(R3gan, OperatorsOfTheReference) {
  const Fixture f("r3gan/operators");
  const double rtol = 1e-6;  // float32, as the fixture states it
  const Tensor kernel = r3gan::LowPassKernel({1, 2, 1}), x = f.at("x");
  EXPECT_TRUE(Close(kernel, f.at("kernel_121"), rtol, 0));
  EXPECT_TRUE(Close(r3gan::LowPassKernel({1, 3, 3, 1}), f.at("kernel_1331"), rtol, 0));
  const Tensor filter = kernel.unsqueeze(0).unsqueeze(0);
  EXPECT_TRUE(Close(nn::Downsample2x(x, filter, 1), f.at("InterpolativeDownsampler_121"), rtol, 0));
  EXPECT_TRUE(Close(nn::Upsample2x(x, filter, 1), f.at("InterpolativeUpsampler_121"), rtol, 0));
  EXPECT_TRUE(Close(nn::BiasedLeakyRelu(x, f.at("bias"), 0.2), f.at("BiasedActivation"), rtol, 0));
}

// A residual block alone: a one-stage network whose other layers are the identity on every channel and
// position.
TEST(R3gan, ResidualBlockOfTheReference) {
  const Fixture f("r3gan/operators");
  const auto block = TensorsBelow(f, "block/weights/");
  const Tensor x = f.at("block/x"), y = f.at("block/y");
  const int64_t channels = x.size(1), side = x.size(2),
                inner = f.at("block/weights/NonLinearity1.Bias").size(0);
  const int64_t groups = inner / f.at("block/weights/LinearLayer2.Layer.weight").size(1);
  R3ganDiscriminator network({.channels = channels,
                              .resolution = side,
                              .widths = {channels},
                              .cardinalities = {groups},
                              .blocks = {1},
                              .expansion = inner / channels,
                              .outputs = channels});
  auto tensors = StateDict(network);
  for (const auto& [name, value] : block) tensors["MainLayers.0.Layers.0." + name] = value;
  tensors["ExtractionLayer.Layer.weight"] = torch::eye(channels).reshape({channels, channels, 1, 1});
  tensors["MainLayers.0.Layers.1.LinearLayer.weight"] = torch::eye(channels);
  Tensor& pattern = tensors["MainLayers.0.Layers.1.Basis.weight"];
  for (int64_t position = 0; position < channels * side * side; ++position) {
    pattern = torch::zeros({channels, 1, side, side});
    pattern.view(-1)[position] = 1.0;
    LoadStateDict(network, tensors, "block");
    const int64_t channel = position / (side * side), row = position / side % side, column = position % side;
    EXPECT_TRUE(
        Close(network.forward(x, {}), y.select(1, channel).select(1, row).select(1, column), 1e-6, 1e-6));
  }
}

}  // namespace
}  // namespace gas
