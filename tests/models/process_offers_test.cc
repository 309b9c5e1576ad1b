// Version 2 of the protocol of networks in other processes: what a first line may offer, and that it is used.
#include <gtest/gtest.h>

#include "gas/io/file.h"
#include "gas/models/model.h"
#include "gas/models/model_scales.h"
#include "gas/models/process/process_conditioner.h"
#include "gas/models/process/process_denoiser.h"
#include "gas/models/process/question.h"
#include "gas/models/process/request_numbers.h"
#include "gas/models/process/request_text.h"
#include "gas/solver/checkpoint.h"
#include "models/damaged_hello.h"
#include "models/process_worker.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::TwoPoints;
using testing::VpLevelAt;
using testing::WorkerCommand;

constexpr double kUnlabelled = 0.5;  // the m of the worker without a condition

std::string HelloWith(const std::string& entries) {
  nlohmann::json hello = {{"gas_denoiser", 2},
                          {"name", "x"},
                          {"shape", {4, 8, 8}},
                          {"prediction", "noise"},
                          {"schedule", {{"kind", "flow"}, {"t_eps", 0.001}}}};
  hello.update(nlohmann::json::parse(entries));
  return hello.dump();
}

ProcessHello Parsed(const std::string& entries) { return ParseProcessHello("exec:x", HelloWith(entries)); }

Tensor SomeStates(std::vector<int64_t> shape) {
  torch::manual_seed(1);
  return torch::randn(shape);
}

TEST(ProcessHello, ReadsWhatIsOffered) {
  const ProcessHello plain = Parsed("{}");
  EXPECT_EQ(plain.version, 2);
  EXPECT_EQ(plain.dtype, torch::kFloat32);
  EXPECT_FALSE(plain.gradient || plain.texts || plain.seeds || plain.encodes);
  EXPECT_EQ(plain.guidance, GuidanceSide::kHere);
  EXPECT_TRUE(plain.image.empty());
  EXPECT_FALSE(Parsed(R"({"decode":{"shape":[3,64,64]}})").decode_gradient);
  EXPECT_TRUE(Parsed(R"({"decode":{"shape":[3,64,64],"gradient":true}})").decode_gradient);
  EXPECT_EQ(Parsed(R"({"shape":[7]})").shape, (std::vector<int64_t>{7}));
  EXPECT_EQ(Parsed(R"({"dtype":"bfloat16"})").dtype, torch::kBFloat16);
  EXPECT_EQ(Parsed(R"({"guidance":"worker"})").guidance, GuidanceSide::kWorker);
  const ProcessHello all = Parsed(
      R"({"texts":true,"seeds":true,"gradient":true,"decode":{"shape":[3,64,64],"encode":true,"multiple":16}})");
  EXPECT_TRUE(all.texts && all.seeds && all.gradient && all.encodes);
  EXPECT_EQ(all.image, (std::vector<int64_t>{3, 64, 64}));
  EXPECT_EQ(all.size_multiple, 16);
  // Version 1 knows none of it.
  EXPECT_FALSE(Parsed(R"({"gas_denoiser":1,"gradient":true,"dtype":7})").gradient);
}

TEST(ProcessHello, RefusesWhatIsImpossible) {
  EXPECT_ERROR(Parsed(R"({"dtype":"float64"})"), Errc::kBadFile, "exec:x: dtype = float64: unknown");
  EXPECT_ERROR(Parsed(R"({"dtype":32})"), Errc::kBadFile, "\"dtype\" = 32, must be a text");
  EXPECT_ERROR(Parsed(R"({"gradient":1})"), Errc::kBadFile,
               "exec:x: \"gradient\" = 1, must be true or false");
  EXPECT_ERROR(Parsed(R"({"guidance":"both"})"), Errc::kBadFile, "exec:x: guidance = both: unknown");
  EXPECT_ERROR(Parsed(R"({"decode":[3,8,8]})"), Errc::kBadFile, "\"decode\" = [3,8,8], must be an object");
  EXPECT_ERROR(Parsed(R"({"decode":{}})"), Errc::kBadFile, "\"decode\": \"shape\" is missing");
  EXPECT_ERROR(Parsed(R"({"decode":{"shape":[1,8,8]}})"), Errc::kBadFile, "must be [3,H,W]");
  EXPECT_ERROR(Parsed(R"({"decode":{"shape":[3,8,65537]}})"), Errc::kBadFile, "sides from 1 to 65536");
  EXPECT_ERROR(Parsed(R"({"texts":true,"classes":3})"), Errc::kBadFile, "\"classes\" = 3, must be 0");
  EXPECT_ERROR(Parsed(R"({"seeds":true})"), Errc::kBadFile, "\"seeds\" = true, must not be");
  EXPECT_ERROR(Parsed(R"({"texts":true,"decode":{"shape":[3,64,64],"multiple":12}})"), Errc::kBadFile,
               "a multiple of f");
  EXPECT_ERROR(Parsed(R"({"texts":true,"shape":[4,8],"decode":{"shape":[3,64,64],"multiple":8}})"),
               Errc::kBadFile, "a multiple of f");
}

TEST(ProcessHello, DamagedFirstLinesOfVersionTwo) {
  testing::ReadDamagedHellos(HelloWith(
      R"({"texts":true,"guidance":"input","gradient":true,"decode":{"shape":[3,64,64],"multiple":16}})"));
}

TEST(ProcessReply, LinesThatAreNotAllowed) {
  EXPECT_FALSE(ErrorInReply("exec:x", R"({"bytes":12,"more":"is passed over"})", 12));
  EXPECT_EQ(ErrorInReply("exec:x", R"({"error":"no memory"})", 12), "no memory");
  EXPECT_EQ(ErrorInReply("exec:x", R"({"error":{"code":3}})", 12), R"({"code":3})");
  EXPECT_ERROR(ErrorInReply("exec:x", "\x80?", 12), Errc::kBadFile, "a reply begins with");
  EXPECT_ERROR(ErrorInReply("exec:x", "12", 12), Errc::kBadFile, "must be a JSON object");
  EXPECT_ERROR(ErrorInReply("exec:x", "{}", 12), Errc::kBadFile, "\"bytes\" is missing");
  EXPECT_ERROR(ErrorInReply("exec:x", R"({"bytes":-12})", 12), Errc::kBadFile, "\"bytes\" = -12, must be 12");
  EXPECT_ERROR(ErrorInReply("exec:x", R"({"bytes":99999999999999})", 12), Errc::kBadFile, "must be 12");
  EXPECT_ERROR(ErrorInReply("exec:x", R"({"bytes":"12"})", 12), Errc::kBadFile, "must be 12");
}

TEST(ProcessOffers, StatesOfAnyRankAndType) {
  const NoiseLevel at = VpLevelAt(0.4);
  for (const auto& [shape, entry] : std::vector<std::pair<std::vector<int64_t>, std::string>>{
           {{5, 7}, "[7]"}, {{5, 2, 3}, "[2,3]"}, {{2, 3, 2, 4, 2}, "[3,2,4,2]"}}) {
    const Tensor x = SomeStates(shape), m = torch::full({shape[0]}, kUnlabelled);
    for (const auto& [dtype, tolerance] :
         std::map<std::string, double>{{"float32", 1e-6}, {"bfloat16", 1e-2}, {"float16", 1e-3}}) {
      const ProcessDenoiser denoiser(WorkerCommand(R"({"dtype":")" + dtype + R"(","shape":)" + entry + "}"));
      const Tensor output = denoiser.Predict(x, at, {});
      EXPECT_EQ(output.scalar_type(), x.scalar_type());
      EXPECT_TRUE(testing::Close(output, TwoPoints(x, at, m), tolerance, 0)) << dtype << entry;
    }
  }
  const ProcessDenoiser denoiser(WorkerCommand(R"({"shape":[2,3]})"));
  EXPECT_ERROR(denoiser.Predict(torch::zeros({2, 6}), at, {}), Errc::kBadOption, "must be [B, 2, 3]");
}

// What is rounded to the type of the pipe and sent back is what LibTorch rounds it to.
TEST(ProcessOffers, HalvesAreWhatLibTorchSays) {
  const NoiseLevel at{torch::zeros({}, torch::kFloat64), torch::ones({}, torch::kFloat64),
                      torch::zeros({}, torch::kFloat64)};  // where the network gives its state
  const Tensor x =
      torch::tensor({0.0F, -0.0F, 1.0F, 0.1F, -3.7e4F, 6e-8F, 1e-5F, 1.0009765F, 5.9604645e-8F}).unsqueeze(0);
  for (const auto& [name, dtype] :
       std::map<std::string, torch::ScalarType>{{"bfloat16", torch::kBFloat16}, {"float16", torch::kHalf}}) {
    const ProcessDenoiser denoiser(WorkerCommand(R"({"shape":[9],"dtype":")" + name + "\"}"));
    EXPECT_TRUE(testing::Close(denoiser.Predict(x, at, {}), x.to(dtype).to(torch::kFloat32), 1e-7, 0))
        << name;
  }
}

TEST(ProcessOffers, AnswersWithAnErrorAndGoesOn) {
  const ProcessDenoiser denoiser(WorkerCommand(R"({"gradient":true})", "error=gradient"));
  const NoiseLevel at = VpLevelAt(0.4);
  const Tensor x = SomeStates({2, 2, 3}).requires_grad_();
  const Tensor output = denoiser.Predict(x, at, {});
  EXPECT_ERROR(output.sum().backward(), Errc::kUnavailable,
               "the process answers with an error: \"no \\u001b[31m memory\"");
  EXPECT_TRUE(testing::SameBits(denoiser.Predict(x, at, {}).detach(), output.detach()));
  const ProcessDenoiser shorter(WorkerCommand("{}", "short=predict"));
  EXPECT_ERROR(shorter.Predict(x.detach(), at, {}), Errc::kBadFile, "a reply has \"bytes\" = 47, must be 48");
}

TEST(ProcessOffers, GradientIsThatOfTheFormula) {
  const ProcessDenoiser denoiser(WorkerCommand(R"({"gradient":true,"classes":3})"));
  const Tensor x = SomeStates({4, 2, 3}), weights = SomeStates({4, 2, 3}).flip(0);
  const Tensor labels = torch::tensor({0, 2, 1, 1}), m = 0.4 + 0.1 * labels;
  const auto gradients = [&](const std::function<Tensor(const Tensor&, const NoiseLevel&)>& f) {
    const NoiseLevel level = VpLevelAt(0.3);
    std::vector<Tensor> inputs = {x.clone(), level.t.clone(), level.alpha.clone(), level.sigma.clone()};
    for (Tensor& input : inputs) input.requires_grad_();
    const Tensor output = f(inputs[0], {inputs[1], inputs[2], inputs[3]});
    return torch::autograd::grad({(output * weights).sum()}, inputs);
  };
  const auto expected = gradients([&](const Tensor& s, const NoiseLevel& at) { return TwoPoints(s, at, m); });
  const auto found = gradients(
      [&](const Tensor& s, const NoiseLevel& at) { return denoiser.Predict(s, at, {.labels = labels}); });
  const auto recomputed = gradients([&](const Tensor& s, const NoiseLevel& at) {
    return PredictWithoutActivations(denoiser, s, at, {.labels = labels});
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), expected[i].scalar_type());
    EXPECT_TRUE(testing::Close(found[i], expected[i], 1e-5, 0)) << i;
    EXPECT_TRUE(testing::Close(recomputed[i], expected[i], 1e-5, 0)) << i;
  }
  EXPECT_TRUE(OpenModel("exec:" + WorkerCommand(R"({"gradient":true})")).has_gradient);
  EXPECT_FALSE(OpenModel("exec:" + WorkerCommand()).has_gradient);
}

// m of a text as the worker has it.
double MeanOfText(const std::string& text) { return 0.3 + 0.1 * static_cast<double>(text.size() % 8); }

TEST(ProcessOffers, TextsReachTheProcess) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  const Model model = OpenModel("exec:" + WorkerCommand(R"({"texts":true})"), {.texts = texts});
  EXPECT_EQ(model.texts.count("prompts"), 1U);
  const std::vector<Request> requests = {{.seed = 3}, {.seed = 4, .prompt = "a"}, {.seed = 5}};
  const Condition condition = model.conditioner->Of(requests);
  const Tensor x = SomeStates({3, 2, 3}),
               m = torch::tensor({MeanOfText("four"), MeanOfText("a"), MeanOfText("four")});
  const NoiseLevel at = VpLevelAt(0.4);
  EXPECT_TRUE(testing::Close(model.denoiser->Predict(x, at, condition), TwoPoints(x, at, m), 1e-6, 0));
  // As teacher data keeps conditions.
  const Condition kept = Condition::FromNamed(condition.Named());
  EXPECT_TRUE(testing::Close(model.denoiser->Predict(x.slice(0, 1, 2), at, kept.Rows(1, 2)),
                             TwoPoints(x.slice(0, 1, 2), at, m.slice(0, 1, 2)), 1e-6, 0));
  EXPECT_ERROR(model.denoiser->Predict(x, at, {}), Errc::kBadOption, "no request for each of 3 samples");
  EXPECT_ERROR(model.conditioner->Of({{{.seed = 0, .label = 1}}}), Errc::kBadOption, "without classes");
  EXPECT_NO_THROW(model.denoiser->Predict(x, at, model.conditioner->Placeholder(3)));
}

TEST(ProcessOffers, GuidanceOfOurOwnHasANegativeSide) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  const Tensor x = SomeStates({2, 2, 3}), ones = torch::ones({2});
  const NoiseLevel at = VpLevelAt(0.4);
  const auto guided = [&](double none) {
    const Tensor without = TwoPoints(x, at, none * ones);
    return without + 3 * (TwoPoints(x, at, MeanOfText("four") * ones) - without);
  };
  const std::string name = "exec:" + WorkerCommand(R"({"texts":true})");
  const auto sample = [&](const Model& model) {
    return model.denoiser->Predict(x, at, model.conditioner->Of(RequestsFor(SeedRange(0, 2))));
  };
  EXPECT_TRUE(testing::Close(sample(OpenModel(name, {.guidance = 3, .texts = texts})), guided(0.2), 1e-5, 0));
  const auto at_scale = OpenModelAtScales(name, {.texts = texts});
  EXPECT_TRUE(testing::Close(sample(at_scale(3)), guided(0.2), 1e-5, 0));
  EXPECT_TRUE(testing::SameBits(sample(at_scale(1)), sample(OpenModel(name, {.texts = texts}))));
  texts.negative = "no";
  EXPECT_TRUE(testing::Close(sample(OpenModel(name, {.guidance = 3, .texts = texts})),
                             guided(MeanOfText("no")), 1e-5, 0));
}

TEST(ProcessOffers, AProcessMayGuideItself) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  texts.negative = "no";
  const Tensor x = SomeStates({2, 2, 3}), ones = torch::ones({2});
  const NoiseLevel at = VpLevelAt(0.4);
  const auto sample = [&](const Model& model) {
    return model.denoiser->Predict(x, at, model.conditioner->Of(RequestsFor(SeedRange(0, 2))));
  };
  const double with = MeanOfText("four"), none = MeanOfText("no");
  const Model worker = OpenModel("exec:" + WorkerCommand(R"({"texts":true,"guidance":"worker"})"),
                                 {.guidance = 3, .texts = texts});
  EXPECT_EQ(worker.guidance, 3);
  EXPECT_TRUE(testing::Close(sample(worker), TwoPoints(x, at, (none + 3 * (with - none)) * ones), 1e-5, 0));
  const std::string input = "exec:" + WorkerCommand(R"({"texts":true,"guidance":"input"})");
  EXPECT_ERROR(OpenModel(input, {.guidance = 3, .texts = texts}), Errc::kBadOption,
               "model.negative must not be given");
  texts.negative = {};
  EXPECT_TRUE(testing::Close(sample(OpenModel(input, {.guidance = 3, .texts = texts})),
                             TwoPoints(x, at, 3 * with * ones), 1e-5, 0));
  EXPECT_TRUE(
      testing::Close(sample(OpenModel(input, {.texts = texts})), TwoPoints(x, at, with * ones), 1e-5, 0));
  // The same processes with another scale.
  texts.negative = "no";
  const auto at_scale = OpenModelAtScales("exec:" + WorkerCommand(R"({"texts":true,"guidance":"worker"})"),
                                          {.guidance = 3, .texts = texts});
  for (const double scale : {2.0, 3.0, 2.0}) {
    EXPECT_EQ(at_scale(scale).guidance, scale);
    EXPECT_TRUE(testing::Close(sample(at_scale(scale)),
                               TwoPoints(x, at, (none + scale * (with - none)) * ones), 1e-5, 0));
  }
}

TEST(ProcessOffers, SeedsAreSentWhereTheyAreAskedFor) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  const Model model =
      OpenModel("exec:" + WorkerCommand(R"({"texts":true,"seeds":true})"), {.guidance = 2, .texts = texts});
  const Tensor x = SomeStates({2, 2, 3}), seeds = torch::tensor({7.0, 8.0});
  const NoiseLevel at = VpLevelAt(0.4);
  const Tensor none = TwoPoints(x, at, 0.2 + 0.001 * seeds),
               with = TwoPoints(x, at, MeanOfText("four") + 0.001 * seeds);
  const Tensor output = model.denoiser->Predict(x, at, model.conditioner->Of(RequestsFor(SeedRange(7, 2))));
  EXPECT_TRUE(testing::Close(output, none + 2 * (with - none), 1e-5, 0));
}

TEST(ProcessOffers, RefusesTextsThatItCannotUse) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  EXPECT_ERROR(OpenModel("exec:" + WorkerCommand(), {.texts = texts}), Errc::kBadOption,
               "whose process takes no texts");
  TextOptions lora;
  lora.loras = {{"a.safetensors", 1}};
  const std::string name = "exec:" + WorkerCommand(R"({"texts":true})");
  EXPECT_ERROR(OpenModel(name, {.texts = lora}), Errc::kBadOption, "model.lora must not be given");
  TextOptions sized;
  sized.size = ImageSize{16, 16};
  EXPECT_ERROR(OpenModel(name, {.texts = sized}), Errc::kBadOption, "whose process serves one size");
  EXPECT_ERROR(OpenModel("fashion", {.workers = {.count = 2}}), Errc::kBadOption,
               "model.workers must not be given for fashion, whose family edm runs in this program");
  const ProcessConditioner conditioner(Parsed(R"({"texts":true})"), texts);
  EXPECT_ERROR(conditioner.Of({{{.prompt = "\xff"}}}), Errc::kBadOption, "prompt is not UTF-8");
  EXPECT_ERROR(conditioner.Of({{{.prompt = std::string(5000, 'a')}}}), Errc::kBadOption,
               "bytes, must be at most 4096");
}

TEST(ProcessOffers, RequestsOfFilesAreChecked) {
  EXPECT_EQ(RequestTexts(RequestRows({R"({"prompt":"a "})"})),
            (std::vector<std::string>{R"({"prompt":"a "})"}));
  EXPECT_ERROR(RequestTexts(torch::zeros({2, 8}, torch::kUInt8)), Errc::kBadFile,
               "must be an object of JSON");
  EXPECT_ERROR(RequestTexts(torch::zeros({2, 8})), Errc::kBadFile, "must be uint8 of shape");
  EXPECT_ERROR(RequestTexts(torch::zeros({2, 0}, torch::kUInt8)), Errc::kBadFile,
               "must be an object of JSON");
  EXPECT_ERROR(RequestTexts(torch::zeros({1, 5000}, torch::kUInt8)), Errc::kBadFile, "n at most 4096");
}

TEST(ProcessOffers, ImagesAreTheProcessesToMake) {
  const std::string hello =
      R"({"shape":[4,2,2],"texts":true,"decode":{"shape":[3,8,8],"encode":true,"multiple":8}})";
  const Model model = OpenModel("exec:" + WorkerCommand(hello));
  const Tensor states = SomeStates({3, 4, 2, 2});
  const auto expected = [](const Tensor& x) {
    return x.slice(1, 0, 1).repeat_interleave(4, 2).repeat_interleave(4, 3).expand({-1, 3, -1, -1});
  };
  EXPECT_TRUE(testing::SameBits(ImagesOf(model, states), expected(states).contiguous()));
  EXPECT_TRUE(testing::SameBits(model.codec->Encode(expected(states)),
                                states.slice(1, 0, 1).expand({-1, 4, -1, -1}).contiguous()));
  EXPECT_ERROR(model.codec->Decode(states.clone().requires_grad_()), Errc::kBadOption,
               "use a loss on states");
  EXPECT_ERROR(model.codec->Decode(torch::zeros({1, 4, 2, 3})), Errc::kBadOption, "must be [B, 4, 2, 2]");
  TextOptions wide;
  wide.size = ImageSize{16, 8};
  const Model wider = OpenModel("exec:" + WorkerCommand(hello), {.texts = wide});
  EXPECT_EQ(wider.shape, (std::vector<int64_t>{4, 2, 4}));
  const Tensor more = SomeStates({2, 4, 2, 4});
  EXPECT_TRUE(testing::SameBits(ImagesOf(wider, more), expected(more).contiguous()));
  wide.size = ImageSize{12, 8};
  EXPECT_ERROR(OpenModel("exec:" + WorkerCommand(hello), {.texts = wide}), Errc::kBadOption,
               "model.size = 12x8, must be multiples of 8");
  const Model decodes = OpenModel("exec:" + WorkerCommand(R"({"shape":[4,2,2],"decode":{"shape":[3,8,8]}})"));
  EXPECT_ERROR(decodes.codec->Encode(expected(states)), Errc::kBadOption, "its first line has no \"encode\"");
}

TEST(ProcessOffers, ImagesHaveTheGradientOfTheirFormula) {
  const std::string hello = R"({"shape":[4,2,2],"decode":{"shape":[3,8,8],"gradient":true}})";
  const Model model = OpenModel("exec:" + WorkerCommand(hello), {.workers = {.count = 2}});
  const Tensor states = SomeStates({3, 4, 2, 2}).requires_grad_(), weights = SomeStates({3, 3, 8, 8});
  const Tensor images = model.codec->Decode(states);
  const Tensor found = torch::autograd::grad({(images * weights).sum()}, {states})[0];
  // A pixel is the first channel's number at its place.
  const Tensor sums = weights.sum(1, /*keepdim=*/true).unfold(2, 4, 4).unfold(3, 4, 4).sum({4, 5});
  EXPECT_TRUE(testing::Close(found.slice(1, 0, 1), sums, 1e-5, 0));
  EXPECT_EQ(found.slice(1, 1).abs().max().item<double>(), 0);
  const Model without = OpenModel("exec:" + WorkerCommand(R"({"shape":[4,2,2],"decode":{"shape":[3,8,8]}})"));
  EXPECT_ERROR(without.codec->Decode(states), Errc::kBadOption,
               "the process gives no gradient through its images, its \"decode\" has no \"gradient\"");
}

TEST(RequestNumbers, ForgetsTheOldestButNoneOfABatch) {
  RequestNumbers numbers(3);
  const auto tell = [&](const std::vector<std::string>& batch) {
    const std::vector<std::string> unknown = numbers.Unknown(batch);
    const std::vector<int64_t> forgotten = numbers.Excess(unknown.size());
    numbers.Forget(forgotten);
    for (const std::string& request : unknown) numbers.Add(request);
    return std::pair(numbers.Of(batch), forgotten);
  };
  using Numbers = std::vector<int64_t>;
  EXPECT_EQ(tell({"a", "b", "a"}), std::pair(Numbers({0, 1, 0}), Numbers()));
  EXPECT_EQ(tell({"c", "a"}), std::pair(Numbers({2, 0}), Numbers()));
  EXPECT_EQ(tell({"d"}), std::pair(Numbers({3}), Numbers({1}))) << "b was used longest ago";
  EXPECT_EQ(tell({"e", "f", "g", "h", "d"}), std::pair(Numbers({4, 5, 6, 7, 3}), Numbers({0, 2})));
  EXPECT_EQ(tell({"b"}), std::pair(Numbers({8}), Numbers({3, 4, 5}))) << "told anew";
}

// Each request is told once, whatever the number of evaluations.
TEST(ProcessOffers, ForgottenRequestsAreToldAnew) {
  ProcessConnection connection("exec:x", WorkerCommand(R"({"texts":true})"), {});
  connection.ReadHello();
  std::vector<std::string> many;
  for (int i = 0; i < 1500; ++i) many.push_back(R"({"prompt":")" + std::to_string(i) + "\"}");
  EXPECT_EQ(connection.NumbersOf({many[0], many[1]}), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(connection.NumbersOf({many[1], many[0]}), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(connection.NumbersOf(many).back(), 1499);
  EXPECT_EQ(connection.NumbersOf({R"({"prompt":"new"})"}), (std::vector<int64_t>{1500}));
  EXPECT_EQ(connection.NumbersOf({many[0]}), (std::vector<int64_t>{1501}));
}

}  // namespace
}  // namespace gas
