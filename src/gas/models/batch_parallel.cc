#include "gas/models/batch_parallel.h"

#include <algorithm>
#include <utility>

#include <ATen/Parallel.h>

namespace gas {
namespace {

thread_local bool whole_batches = false;

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Part {
  int64_t begin = 0, end = 0;
  Tensor images, shared, output;  // leaves, and what f made of them
};

// The parts of a batch with their graphs, kept by the graph of the whole.
struct Parts : torch::CustomClassHolder {
  std::vector<Part> parts;
};

std::vector<Part> Split(int64_t batch) {
  const int64_t count = std::min<int64_t>(batch, torch::get_num_threads());
  std::vector<Part> parts(count);
  for (int64_t i = 0; i < count; ++i) {
    parts[i].begin = i * batch / count;
    parts[i].end = (i + 1) * batch / count;
  }
  return parts;
}

// One thread for each part. Operations inside a parallel region use no further threads.
void ForEach(std::vector<Part>& parts, const std::function<void(Part&, size_t index)>& work) {
  at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(parts[i], static_cast<size_t>(i));
  });
}

Tensor Joined(const std::vector<Part>& parts, Tensor Part::*member) {
  std::vector<Tensor> tensors;
  for (const Part& part : parts) tensors.push_back(part.*member);
  return torch::cat(tensors);
}

class Function : public torch::autograd::Function<Function> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& images, const Tensor& shared,
                        const BatchFunction* f) {
    auto kept = c10::make_intrusive<Parts>();
    kept->parts = Split(images.size(0));
    const bool by_images = images.requires_grad(), by_shared = shared.requires_grad();
    ForEach(kept->parts, [&](Part& part, size_t) {
      const torch::AutoGradMode with_gradient(true);
      part.images = images.slice(0, part.begin, part.end).detach().requires_grad_(by_images);
      part.shared = shared.detach().requires_grad_(by_shared);
      part.output = (*f)(part.images, part.shared, part.begin, part.end);
    });
    const torch::NoGradGuard no_gradient;
    const Tensor output = Joined(kept->parts, &Part::output).detach();
    context->saved_data["parts"] = torch::IValue::make_capsule(std::move(kept));
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    auto& parts = static_cast<Parts&>(*context->saved_data["parts"].toCapsule()).parts;
    const bool by_images = context->needs_input_grad(0), by_shared = context->needs_input_grad(1);
    std::vector<Part> gradients(parts.size());
    ForEach(parts, [&](Part& part, size_t i) {
      variable_list inputs;
      if (by_images) inputs.push_back(part.images);
      if (by_shared) inputs.push_back(part.shared);
      const variable_list found =
          torch::autograd::grad({part.output}, inputs, {upstream[0].slice(0, part.begin, part.end)},
                                /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
      if (by_images) gradients[i].images = found.front();
      if (by_shared) gradients[i].shared = found.back();
    });
    variable_list result(3);
    if (by_images && gradients[0].images.defined()) result[0] = Joined(gradients, &Part::images);
    if (by_shared && gradients[0].shared.defined()) {
      result[1] = gradients[0].shared;
      for (size_t i = 1; i < gradients.size(); ++i) result[1] = result[1] + gradients[i].shared;
    }
    return result;
  }
};

}  // namespace

bool IsSplit(int64_t batch, int64_t threads) { return batch >= 2 && threads >= 2 && 2 * batch > threads; }

int64_t ConcurrentParts(int64_t batch, torch::Device device) {
  const int64_t threads = torch::get_num_threads();
  return device.is_cpu() && IsSplit(batch, threads) ? std::min(batch, threads) : 1;
}

WholeBatchGuard::WholeBatchGuard() : before_(std::exchange(whole_batches, true)) {}
WholeBatchGuard::~WholeBatchGuard() { whole_batches = before_; }

Tensor ParallelOverBatch(const Tensor& images, const Tensor& shared, const BatchFunction& f) {
  const int64_t batch = images.size(0);
  if (whole_batches || at::in_parallel_region() || ConcurrentParts(batch, images.device()) == 1) {
    return f(images, shared, 0, batch);
  }
  if (torch::GradMode::is_enabled() && (images.requires_grad() || shared.requires_grad())) {
    return Function::apply(images, shared, &f);
  }
  std::vector<Part> parts = Split(batch);
  ForEach(parts, [&](Part& part, size_t) {
    const torch::NoGradGuard no_gradient;  // the mode belongs to a thread
    part.output = f(images.slice(0, part.begin, part.end), shared, part.begin, part.end);
  });
  return Joined(parts, &Part::output);
}

}  // namespace gas
