// The convolutions of a trained network by Winograd's algorithm.
#include "gas/eval/convolution_choice.h"

#include "gas/models/network_input.h"
#include "support/expect.h"

namespace gas {
namespace {

const nn::PlanOptions kForced = {
    .mode = nn::ConvolutionMode::kWinograd, .input_gradients = true, .most_copies = 1e9};

double Difference(const Tensor& a, const Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

struct Evaluation {
  Tensor output, gradient;
};

Evaluation Evaluate(const Model& model, int64_t batch) {
  const NetworkInput input = InputFor(model, batch);
  const Tensor state = input.state.detach().requires_grad_();
  const Tensor output = model.denoiser->Predict(state, input.at, input.condition);
  return {output.detach(), torch::autograd::grad({output.square().sum()}, {state})[0]};
}

// The bounds are those of one convolution, of the whole network's output.
TEST(ConvolutionChoice, ATrainedNetworkKeepsItsOutputsAndGradients) {
  const Model direct = OpenModel("fashion"), model = OpenModel("fashion");
  const auto plan = ChooseConvolutions(model, torch::kFloat32, kForced);
  EXPECT_NE(nn::PlanText(plan).find('4'), std::string::npos);
  const Evaluation ours = Evaluate(model, 3), theirs = Evaluate(direct, 3);
  EXPECT_LT(Difference(ours.output, theirs.output), 2e-5);
  EXPECT_LT(Difference(ours.gradient, theirs.gradient), 5e-5);
}

// LibTorch's other operations round by the size of a batch, so an image is compared with itself in a batch
// that is divided among threads otherwise, within that rounding.
TEST(ConvolutionChoice, AnImageIsTheSameOnAnyThreadsAsMuchAsByDirectConvolutions) {
  const torch::NoGradGuard no_grad;
  const int threads = torch::get_num_threads();
  const auto difference = [&](const Model& model) {
    const NetworkInput input = InputFor(model, 4);
    torch::set_num_threads(1);
    const Tensor all = model.denoiser->Predict(input.state, input.at, input.condition);
    torch::set_num_threads(3);
    const Tensor divided = model.denoiser->Predict(input.state, input.at, input.condition);
    torch::set_num_threads(threads);
    return Difference(divided, all);
  };
  const Model direct = OpenModel("fashion"), model = OpenModel("fashion");
  ChooseConvolutions(model, torch::kFloat32, kForced);
  const double of_direct = difference(direct), ours = difference(model);
  EXPECT_LE(ours, 4 * of_direct + 1e-7);
}

TEST(ConvolutionChoice, NothingIsChosenInBfloat16) {
  EXPECT_TRUE(ChooseConvolutions(OpenModel("fashion"), torch::kBFloat16, kForced).empty());
}

TEST(ConvolutionChoice, TextAndTableSayWhatWasChosen) {
  nn::PlannedConvolution chosen{.size = {64, 32, 8, 8}, .eligible = true, .tile = nn::WinogradTile::kFour};
  chosen.seconds = nn::ConvolutionSeconds{.direct = 3e-3, .two = 2e-3, .four = 1e-3};
  const nn::PlannedConvolution pointwise{.size = {64, 32, 8, 8}};
  EXPECT_EQ(ChoiceText({chosen, chosen, pointwise}), "convolutions: 2 of 3 by Winograd's algorithm");
  EXPECT_THAT(ChoiceTable({chosen, chosen, pointwise}),
              ::testing::ContainsRegex("64 -> 32 at 8x8 +2  winograd 4x4 +3.000 +1.000 +3.00\n"));
}

}  // namespace
}  // namespace gas
