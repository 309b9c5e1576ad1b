// Evaluates a model's network as asked, line by line, so that other programs can be timed in turn with it.
// What tools/bench_peers.py runs.
//
//   gas_network_server MODEL DTYPE CONVOLUTION [COPIES [gradients]]
//
// MODEL: as for `gas sample --model`; DTYPE: float32 or bfloat16; CONVOLUTION: as for `gas sample`; COPIES:
// how many times the weights of all convolutions their copies may take; `gradients`: copies for them too. It
// writes a line of JSON when the network is open, and one for each request:
//
//   inputs BATCH FILE     FILE gets what it is evaluated at: state, alpha, sigma, t, and labels, if any
//   check BATCH FILE OUT  evaluates it there; OUT gets `output`, and with `gradients` the `gradient`
//   forward BATCH         {"seconds": ...} of one evaluation
//   gradient BATCH        the same with the gradient
//   gs BATCH              of an iteration of the Generalized Solver's training at 4 evaluations
//
// The gradient is that of the output's sum with respect to the state.
#include <chrono>
#include <functional>
#include <iostream>
#include <sstream>

#include "gas/cli/machine.h"
#include "gas/core/error.h"
#include "gas/eval/convolution_choice.h"
#include "gas/io/json.h"
#include "gas/io/safetensors.h"
#include "gas/models/network_input.h"
#include "gas/nn/product_dtype.h"
#include "gas/train/gs_trainer.h"

namespace gas {
namespace {

using Clock = std::chrono::steady_clock;

// Evaluations of the solver whose training is timed.
constexpr int64_t kEvaluations = 4;

double SecondsOf(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Server {
 public:
  Server(const std::string& name, torch::Dtype dtype, const nn::PlanOptions& convolution)
      : gradients_(convolution.input_gradients), model_(OpenModel(name, {.dtype = dtype})) {
    plan_ = nn::PlanText(ChooseConvolutions(model_, dtype, convolution));
  }

  const std::string& plan() const { return plan_; }

  nlohmann::json Answer(const std::string& request) {
    std::istringstream words(request);
    std::string what, from, to;
    int64_t batch = 0;
    words >> what >> batch >> from >> to;
    GAS_CHECK(batch >= 1, Errc::kBadOption, "request ", Quoted(request), ": must name a batch of at least 1");
    if (what == "inputs") return WriteInputs(batch, from);
    if (what == "check") return Check(batch, from, to);
    if (what == "forward") return Seconds([&] { Forward(InputOf(batch)); });
    if (what == "gradient") return Seconds([&] { Gradient(InputOf(batch)); });
    GAS_CHECK(what == "gs", Errc::kBadOption, "request ", Quoted(request),
              ": must be inputs, check, forward, gradient or gs");
    TrainerOf(batch);
    return Seconds([&] { Iteration(batch); });
  }

 private:
  // Made before it is timed.
  const NetworkInput& InputOf(int64_t batch) {
    const auto found = inputs_.find(batch);
    return found != inputs_.end() ? found->second
                                  : inputs_.emplace(batch, InputFor(model_, batch)).first->second;
  }

  static nlohmann::json Seconds(const std::function<void()>& work) { return {{"seconds", SecondsOf(work)}}; }

  nlohmann::json WriteInputs(int64_t batch, const std::string& file) {
    const NetworkInput& in = InputOf(batch);
    std::map<std::string, Tensor> tensors = {
        {"state", in.state}, {"alpha", in.at.alpha}, {"sigma", in.at.sigma}, {"t", in.at.t}};
    if (in.condition.labels.defined()) tensors["labels"] = in.condition.labels;
    WriteSafetensors(file, tensors);
    return nlohmann::json::object();
  }

  nlohmann::json Check(int64_t batch, const std::string& file, const std::string& out) {
    NetworkInput in = InputOf(batch);
    in.state = ReadSafetensors(file).at("state");
    std::map<std::string, Tensor> tensors = {{"output", Forward(in).contiguous()}};
    if (gradients_) tensors["gradient"] = Gradient(in).contiguous();
    WriteSafetensors(out, tensors);
    return nlohmann::json::object();
  }

  Tensor Forward(const NetworkInput& in) const {
    const torch::NoGradGuard no_grad;
    return model_.denoiser->Predict(in.state, in.at, in.condition);
  }

  Tensor Gradient(const NetworkInput& in) const {
    const Tensor state = in.state.detach().requires_grad_();
    model_.denoiser->Predict(state, in.at, in.condition).sum().backward();
    return state.grad();
  }

  GsTrainer& TrainerOf(int64_t batch) {
    if (!trainer_) {
      student_.emplace(StudentConfig{.steps = kEvaluations, .t_eps = model_.t_eps}, model_.schedule);
      const auto squared = [](const Tensor& student, const Tensor& teacher) {
        return (student - teacher).square().mean();
      };
      trainer_.emplace(*student_, model_.denoiser, Distance({DistanceTerm{.between = squared}}),
                       GsTrainerOptions{});
    }
    InputOf(batch);
    return *trainer_;
  }

  void Iteration(int64_t batch) {
    const NetworkInput& in = InputOf(batch);
    trainer_->ComputeGradients(
        {.noise = in.state, .target = torch::zeros_like(in.state), .condition = in.condition});
    trainer_->ApplyGradients();
  }

  bool gradients_;
  Model model_;
  std::string plan_;
  std::map<int64_t, NetworkInput> inputs_;
  std::optional<Student> student_;
  std::optional<GsTrainer> trainer_;
};

int Main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const size_t count = arguments.size();
  GAS_CHECK(count >= 3 && count <= 5, Errc::kBadOption,
            "usage: gas_network_server MODEL DTYPE CONVOLUTION [COPIES [gradients]]");
  cli::PrepareMachine();  // as `gas` does
  nn::PlanOptions convolution = {.mode = nn::kConvolutionNames.FromName(arguments[2]),
                                 .times_file = nn::ConvolutionTimesFile()};
  if (count > 3) convolution.most_copies = std::stod(arguments[3]);
  convolution.input_gradients = count > 4 && arguments[4] == "gradients";
  Server server(arguments[0], nn::kProductDtypeNames.FromName(arguments[1]), convolution);
  std::cout << nlohmann::json{{"plan", server.plan()}, {"libtorch", TORCH_VERSION}}.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << server.Answer(line).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace gas

int main(int argc, char** argv) try { return gas::Main(argc, argv); } catch (const gas::Error& e) {
  std::cerr << "gas_network_server: " << e.what() << '\n';
  return static_cast<int>(e.code());
}
