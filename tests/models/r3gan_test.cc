// R3GAN's discriminator and the losses on it against the reference, every case in the folder.
#include "gas/models/r3gan/discriminator.h"

#include <torch/optim/adam.h>

#include <fstream>

#include "gas/io/safetensors.h"
#include "gas/models/state_dict.h"
#include "gas/nn/ops.h"
#include "gas/train/adversarial_loss.h"
#include "support/expect.h"
#include "support/networks.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using nlohmann::json;
using r3gan::Classes;
using r3gan::Config;
using r3gan::R3ganDiscriminator;
using testing::Close;
using testing::Fixture;
using testing::TempFolder;
using testing::TensorsBelow;
using testing::WorstError;

const std::string kSnapshotEnd = "_outputs", kShapesEnd = "_shapes";

json JsonOf(const std::string& name) {
  std::ifstream file(testing::FixtureFolder() / "r3gan" / (name + ".json"));
  return json::parse(file);
}

// Names of the folder's JSON files for which `chosen` holds.
std::vector<std::string> NamesWhere(const std::function<bool(const std::string&, const json&)>& chosen) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(testing::FixtureFolder() / "r3gan")) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".json" && chosen(stem, JsonOf(stem))) names.push_back(stem);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Config ConfigOf(const json& fixture) {
  json kwargs = fixture.at("init_kwargs");
  kwargs["in_channels"] = fixture.at("in_channels");
  kwargs["img_resolution"] = fixture.at("resolution");
  return r3gan::ConfigFromJson(kwargs);
}

// One discriminator of the reference with what it is to compute.
struct Reference {
  Fixture fixture;
  Config config;
  std::map<std::string, Tensor> weights;
  std::string grad_prefix;  // of names in grad_f64/
};

// The discriminator as GAS uses a snapshot, all stages in the dtype of the images; its weights are in the snapshot.
Reference SnapshotReference(const std::string& name) {
  const Fixture snapshot("r3gan/" + name.substr(0, name.size() - kSnapshotEnd.size()));
  Config config = r3gan::ConfigFromJson(snapshot.json().at("D_init_kwargs"));
  auto weights = TensorsBelow(snapshot, "D/Model.");
  if (config.classes > 0) weights.erase("EmbeddingLayer.weight");
  config.classes = 0;
  return {Fixture("r3gan/" + name), config, weights, "Model."};
}

Reference ReferenceOf(const std::string& name) {
  if (name.ends_with(kSnapshotEnd)) return SnapshotReference(name);
  Fixture fixture("r3gan/" + name);
  return {fixture, ConfigOf(fixture.json()), TensorsBelow(fixture, "weights/"), ""};
}

std::vector<std::string> ReferenceNames() {
  return NamesWhere([](const std::string&, const json& file) { return file.contains("gamma"); });
}

// Worst errors of a precision over all references, by kind of number.
struct Worst {
  explicit Worst(const std::string& precision)
      : values("r3gan logits, losses, penalties " + precision), gradients("r3gan gradients " + precision) {}
  WorstError values, gradients;
};

struct Tolerances {
  double value, gradient;
};

// Gradients of an earlier precision would keep their dtype, and sums in it.
void ForgetGradients(torch::nn::Module& network) {
  for (Tensor& parameter : network.parameters()) parameter.mutable_grad() = Tensor();
}

void CheckDiscriminatorLoss(const Reference& reference, R3ganDiscriminator& network, const LabelledImages& real,
                            const LabelledImages& fake, const std::string& suffix, const Tolerances& tolerance,
                            Worst& worst) {
  const Fixture& f = reference.fixture;
  const double gamma = f.json().at("gamma");
  const DiscriminatorLoss loss = DiscriminatorLossOf(network, real, fake, {.gamma = gamma});
  const Tensor total = loss.adversarial + gamma / 2 * (loss.r1 + loss.r2);
  const std::vector<std::pair<std::string, Tensor>> values = {
      {"logits_real", loss.real_logits}, {"logits_fake", loss.fake_logits}, {"d_adv", loss.adversarial},
      {"d_r1", loss.r1}, {"d_r2", loss.r2}, {"d_loss", total}};
  for (const auto& [name, value] : values) {
    EXPECT_TRUE(Close(value, f.at(name + suffix), tolerance.value, 0)) << name;
    worst.values.Add(value, f.at(name + suffix), name + suffix);
  }
  // The difference of logits is small beside them, and inherits their absolute error.
  EXPECT_TRUE(Close(loss.real_logits - loss.fake_logits, f.at("d_relativistic" + suffix), tolerance.value,
                    tolerance.value * f.at("logits_real" + suffix).abs().max().item<double>()));
  ForgetGradients(network);
  loss.loss.backward();
  for (const auto& [name, parameter] : NamedParameters(network)) {
    const std::string entry = "grad" + suffix + "/" + reference.grad_prefix + name;
    if (!f.Has(entry)) {
      EXPECT_EQ(suffix, "") << entry;  // float32 gradients are stored for some references only, float64 for all
      continue;
    }
    EXPECT_TRUE(Close(parameter.grad(), f.at(entry), tolerance.gradient, 0)) << name;
    worst.gradients.Add(parameter.grad(), f.at(entry), entry);
  }
}

void CheckStudentLoss(const Reference& reference, R3ganDiscriminator& network, const LabelledImages& real,
                      const LabelledImages& fake, const std::string& suffix, const Tolerances& tolerance,
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
    const Tensor labels = reference.fixture.Has("conditions") ? reference.fixture.at("conditions").argmax(1) : Tensor();
    for (const bool wide : {false, true}) {
      const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
      network->to(dtype);
      const LabelledImages real{reference.fixture.at("real").to(dtype), labels};
      const LabelledImages fake{reference.fixture.at("fake").to(dtype), labels};
      // As the fixtures state them: sums in another order.
      const Tolerances tolerance = wide ? Tolerances{1e-9, 1e-9} : Tolerances{1e-5, 1e-4};
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
    torch::optim::Adam adam(network->parameters(), torch::optim::AdamOptions(f.json().at("lr").get<double>()));
    DiscriminatorLossOf(*network, {f.at("real"), {}}, {f.at("fake"), {}}, {.gamma = f.json().at("gamma")})
        .loss.backward();
    adam.step();
    int64_t settled_count = 0, count = 0;
    for (const auto& [weight, value] : NamedParameters(*network)) {
      // A step is lr times the gradient's sign but for entries within rounding of zero, whose sign is not settled.
      const Tensor gradient = f.at("grad_f64/" + weight).abs();
      const Tensor settled = gradient > 1e-4 * gradient.max();
      settled_count += settled.sum().item<int64_t>();
      count += settled.numel();
      EXPECT_TRUE(Close(value.masked_select(settled), f.at("after_step/" + weight).masked_select(settled), 0, 1e-7))
          << weight;
    }
    EXPECT_GT(settled_count, count * 9 / 10);
  }
}

// Snapshots ask for bfloat16 in all stages but the last.
TEST(R3gan, SnapshotsAsStoredInBfloat16) {
  const auto names = NamesWhere([](const std::string& stem, const json&) { return stem.ends_with(kSnapshotEnd); });
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

// A residual block alone: a one-stage network whose other layers are the identity on every channel and position.
TEST(R3gan, ResidualBlockOfTheReference) {
  const Fixture f("r3gan/operators");
  const auto block = TensorsBelow(f, "block/weights/");
  const Tensor x = f.at("block/x"), y = f.at("block/y");
  const int64_t channels = x.size(1), side = x.size(2), inner = f.at("block/weights/NonLinearity1.Bias").size(0);
  const int64_t groups = inner / f.at("block/weights/LinearLayer2.Layer.weight").size(1);
  R3ganDiscriminator network({.channels = channels, .resolution = side, .widths = {channels},
                              .cardinalities = {groups}, .blocks = {1}, .expansion = inner / channels,
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
    EXPECT_TRUE(Close(network.forward(x, {}), y.select(1, channel).select(1, row).select(1, column), 1e-6, 1e-6));
  }
}

TEST(R3gan, LatentPresetsHaveTheReferencesShapesAndDeviations) {
  const auto names = NamesWhere([](const std::string& stem, const json&) { return stem.ends_with(kShapesEnd); });
  ASSERT_EQ(names.size(), 2u);
  torch::manual_seed(4);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const json file = JsonOf(name);
    const int64_t channels = file.at("input_shape")[1];
    const R3ganDiscriminator network(r3gan::Preset("r3gan-latent-" + std::to_string(channels)));
    EXPECT_EQ(network.config().resolution, file.at("input_shape")[2]);
    const auto parameters = NamedParameters(network);
    std::map<std::string, std::vector<int64_t>> wanted;
    for (const char* list : {"parameters", "buffers"}) {
      for (const json& entry : file.at(list)) wanted[entry[0]] = entry[1].get<std::vector<int64_t>>();
    }
    int64_t count = 0, elements = 0;
    std::map<std::string, std::vector<int64_t>> found;
    for (const auto& [tensor, value] : StateDict(network)) {
      found[tensor] = value.sizes().vec();
      elements += value.numel();
    }
    for (const auto& [tensor, value] : parameters) count += value.numel();
    EXPECT_EQ(found, wanted);
    EXPECT_EQ(count, file.at("num_parameters").get<int64_t>());
    EXPECT_EQ(elements, r3gan::ElementCount(network.config()));
    ASSERT_FALSE(file.at("std").empty());
    for (const auto& [tensor, std] : file.at("std").items()) {
      const Tensor& value = parameters.at(tensor);
      // Both are measured on n draws, each with relative standard deviation 1 / sqrt(2 n); five of their difference's.
      const double tolerance = 5 * std.get<double>() / std::sqrt(static_cast<double>(value.numel()));
      EXPECT_NEAR(value.std().item<double>(), std.get<double>(), tolerance) << tensor;
    }
  }
}

TEST(R3gan, PublishedPresets) {
  const Config cifar = r3gan::Preset("r3gan-cifar10"), ffhq = r3gan::Preset("r3gan-ffhq64");
  EXPECT_EQ(cifar.widths, std::vector<int64_t>(4, 768));
  EXPECT_EQ(cifar.cardinalities, std::vector<int64_t>(4, 96));
  EXPECT_EQ(cifar.bfloat16_stages, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(cifar.ResolutionOf(3), 4);
  EXPECT_EQ(ffhq.ResolutionOf(4), 4);
  EXPECT_EQ(ffhq.classes, 0);
  EXPECT_ERROR(r3gan::Preset("r3gan-cifar"), Errc::kBadOption, "did you mean r3gan-cifar10?");
  for (const std::string& name : r3gan::PresetNames()) {
    const Config config = r3gan::Preset(name);
    EXPECT_EQ(r3gan::ToJson(r3gan::ConfigFromJson(r3gan::ToJson(config))), r3gan::ToJson(config)) << name;
  }
}

// Layers that start at zero would hide errors.
void Randomise(torch::nn::Module& network) {
  torch::NoGradGuard no_grad;
  for (Tensor& parameter : network.parameters()) {
    const double fan = static_cast<double>(std::max<int64_t>(1, parameter.numel() / parameter.size(0)));
    parameter.normal_(0, 1 / std::sqrt(fan));
  }
}

// d/dweight of a scalar of second order (R1 + R2) along a random direction, against central differences.
TEST(R3gan, DerivativeOfThePenaltiesByFiniteDifferences) {
  torch::manual_seed(11);
  Config config = r3gan::ConfigFor(2, 10, 8);
  config.classes = 3;
  config.outputs = 5;
  R3ganDiscriminator network(config);
  Randomise(network);
  network.to(torch::kFloat64);
  const Tensor labels = torch::tensor({2, -1, 0});
  const LabelledImages real{torch::randn({3, 2, 10, 10}, torch::kFloat64), labels};
  const LabelledImages fake{torch::randn({3, 2, 10, 10}, torch::kFloat64), labels};
  const auto penalty = [&] {
    const auto loss = DiscriminatorLossOf(network, real, fake, {});
    return (loss.r1 + loss.r2).sum();
  };
  const auto named = NamedParameters(network);
  std::vector<Tensor> values;
  for (const auto& [name, value] : named) values.push_back(value);
  const auto gradients = torch::autograd::grad({penalty()}, values);
  constexpr double kStep = 1e-7;  // so small that no activation passes its kink, where R jumps
  size_t index = 0;
  for (const auto& [name, value] : named) {
    const Tensor direction = torch::randn_like(value);
    const auto at = [&](double step) {
      value.detach().add_(direction, step);
      const double result = penalty().item<double>();
      value.detach().add_(direction, -step);
      return result;
    };
    const double numeric = (at(kStep) - at(-kStep)) / (2 * kStep);
    const double exact = (gradients[index++] * direction).sum().item<double>();
    // The gradient is constant between kinks of the leaky ReLU in a bias, so R does not depend on biases at all there.
    if (name.ends_with("Bias")) {
      EXPECT_EQ(exact, 0) << name;
      continue;
    }
    EXPECT_GT(std::abs(exact), 1e-6) << name;
    EXPECT_NEAR(numeric, exact, 1e-5 * std::abs(exact)) << name;  // rounding of R over the step
    EXPECT_GT(std::abs(numeric - 1.01 * exact), 1e-5 * std::abs(exact)) << "the comparison cannot fail";
  }
}

TEST(R3gan, AnyResolutionThatTheStagesLeaveSomethingOf) {
  torch::manual_seed(1);
  for (const int64_t resolution : {1, 3, 7, 15, 28, 33}) {
    const Config config = r3gan::ConfigFor(1, resolution, 8);
    R3ganDiscriminator network(config);
    EXPECT_EQ(network.forward(torch::randn({2, 1, resolution, resolution}), {}).sizes(), at::IntArrayRef({2}));
    EXPECT_LE(config.ResolutionOf(config.stages() - 1), 7);
  }
  EXPECT_EQ(r3gan::ConfigFor(1, 28).widths, (std::vector<int64_t>{32, 64, 128}));
  Config config{.channels = 1, .resolution = 7, .widths = {8, 8, 8}, .cardinalities = {1, 1, 1}, .blocks = {1, 0, 1}};
  EXPECT_EQ(R3ganDiscriminator(config).forward(torch::randn({2, 1, 7, 7}), {}).numel(), 2);
  config.resolution = 3;
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "img_resolution = 3, cannot be halved 2 times");
}

TEST(R3gan, RefusesWhatCannotBe) {
  const Config good = r3gan::ConfigFor(1, 8, 8);
  R3ganDiscriminator network(good);
  EXPECT_ERROR(network.forward(torch::zeros({2, 1, 9, 8}), {}), Errc::kBadOption, "must be [B, 1, 8, 8]");
  Config config = good;
  config.cardinalities[0] = 3;
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "CardinalityPerStage = 3, must divide the 16 channels");
  config = good;
  config.blocks.pop_back();
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "must be one of each per stage");
  config = good;
  config.bfloat16_stages = {5};
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "FP16Stages = 5");
  EXPECT_ERROR(r3gan::ConfigFor(1, 8, 12), Errc::kBadOption, "width = 12, must be a multiple of 8");
  config = good;
  config.classes = 4;
  R3ganDiscriminator conditional(config);
  EXPECT_ERROR(conditional.forward(torch::zeros({1, 1, 8, 8}), torch::tensor({4})), Errc::kBadOption,
               "class label 4, must be in [-1, 3]");
}

TEST(R3gan, ASampleWithoutLabelCountsEveryOutputOnce) {
  torch::manual_seed(2);
  Config config = r3gan::ConfigFor(1, 8, 8);
  config.classes = 4;
  config.outputs = 6;
  R3ganDiscriminator network(config);
  const Tensor x = torch::randn({3, 1, 8, 8});
  const Tensor none = network.forward(x, {}), mixed = network.forward(x, torch::tensor({-1, 2, -1}));
  EXPECT_TRUE(Close(mixed[0], none[0], 1e-6, 0));
  EXPECT_TRUE(Close(mixed[2], none[2], 1e-6, 0));
  EXPECT_FALSE(Close(mixed[1], none[1], 1e-2, 0));
}

TEST(R3ganFiles, SurviveWritingAndReading) {
  const TempFolder folder("r3gan_file");
  torch::manual_seed(6);
  Config config = r3gan::ConfigFor(1, 9, 16, 2);
  config.classes = 3;
  config.outputs = 4;
  config.bfloat16_stages = {0};
  R3ganDiscriminator network(config);
  Randomise(network);
  r3gan::WriteDiscriminator(folder.path() / "d", network, {{"recipe", "test"}});
  const auto read = r3gan::ReadDiscriminator(folder.path() / "d");
  EXPECT_EQ(r3gan::ToJson(read->config()), r3gan::ToJson(config));
  const Tensor x = torch::randn({2, 1, 9, 9}), labels = torch::tensor({0, 2});
  EXPECT_TRUE(testing::SameBits(read->forward(x, labels), network.forward(x, labels)));
  const auto constant = r3gan::ReadDiscriminator(folder.path() / "d", Classes::kIgnored);
  EXPECT_EQ(NamedParameters(*constant).count("EmbeddingLayer.weight"), 0u);
  EXPECT_TRUE(testing::SameBits(constant->forward(x, labels), network.forward(x, {})));
  EXPECT_EQ(ReadSafetensors(folder.path() / "d").metadata.at("recipe"), "test");
}

// Weights alone, with the prefix of snapshots and without it.
TEST(R3ganFiles, BareWeightsOfTheReferenceWithEitherPrefix) {
  const TempFolder folder("r3gan_bare");
  for (const std::string& name : ReferenceNames()) {
    SCOPED_TRACE(name);
    Reference reference = ReferenceOf(name);
    std::map<std::string, Tensor> prefixed;
    for (const auto& [tensor, value] : reference.weights) prefixed["Model." + tensor] = value;
    WriteSafetensors(folder.path() / "plain", reference.weights);
    WriteSafetensors(folder.path() / "prefixed", prefixed);
    reference.config.bfloat16_stages.clear();
    for (const char* file : {"plain", "prefixed"}) {
      const auto network = r3gan::ReadDiscriminator(folder.path() / file);
      EXPECT_EQ(r3gan::ToJson(network->config()), r3gan::ToJson(reference.config));
      const auto state = StateDict(*network);
      for (const auto& [tensor, value] : reference.weights) EXPECT_TRUE(testing::SameBits(state.at(tensor), value));
    }
  }
}

TEST(R3ganFiles, HostileAndMismatchingOnes) {
  const TempFolder folder("r3gan_hostile");
  const auto path = folder.path() / "evil";
  R3ganDiscriminator network(r3gan::ConfigFor(1, 8, 8));
  const auto good = StateDict(network);
  const std::string config = r3gan::ToJson(network.config()).dump();
  const auto read = [&](const std::map<std::string, Tensor>& tensors,
                        const std::map<std::string, std::string>& metadata = {}) {
    WriteSafetensors(path, tensors, metadata);
    return r3gan::ReadDiscriminator(path);
  };
  EXPECT_NE(read(good), nullptr);
  EXPECT_ERROR(read({}), Errc::kBadFile, "evil: tensor ExtractionLayer.Layer.weight is missing");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-9"}}), Errc::kBadFile, "= r3gan-9, must be r3gan-1");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}}), Errc::kBadFile, "entry config is missing");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", "{"}}), Errc::kBadFile,
               "evil: discriminator: init_kwargs is not a JSON object");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", R"({"WidthPerStages":[8]})"}}), Errc::kBadFile,
               "did you mean WidthPerStage?");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", R"({"WidthPerStage":["a"]})"}}),
               Errc::kBadFile, "evil: discriminator: init_kwargs");
  // A configuration of gigabytes in a file of kilobytes is refused before anything is allocated.
  json huge = json::parse(config);
  huge["WidthPerStage"] = {16384, 16384};
  huge["BlocksPerStage"] = {64, 64};
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", huge.dump()}}), Errc::kBadFile,
               "numbers, the discriminator of its configuration has");
  huge["WidthPerStage"] = {1 << 30, 8};
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", huge.dump()}}), Errc::kBadFile,
               "WidthPerStage = 1073741824, must be in [1, 16384]");
  auto tensors = good;
  tensors["MainLayers.0.Layers.0.NonLinearity1.Bias"] = torch::full({16}, std::nan(""));
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "NonLinearity1.Bias has entries that are not finite");
  tensors = good;
  tensors.erase("MainLayers.0.Layers.0.NonLinearity1.Bias");
  tensors["MainLayers.0.Layers.0.NonLinearity1.Bios"] = torch::zeros({16});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "NonLinearity1.Bias is missing");
  tensors = good;
  tensors["ExtractionLayer.Layer.weight"] = torch::zeros({8});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "has shape [8], must have 4 dimensions");
  tensors = good;
  tensors["MainLayers.0.Layers.0.LinearLayer2.Layer.weight"] = torch::zeros({16, 0, 3, 3});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "none of them empty");
}

}  // namespace
}  // namespace gas
