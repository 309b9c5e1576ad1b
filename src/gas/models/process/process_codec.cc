#include "gas/models/process/process_codec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/models/process/asked.h"

namespace gas {
namespace {

using Shape = std::vector<int64_t>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A kind of request of images and states, and the shapes of a sample of what is sent and received.
struct ImageQuestion {
  const char* op;
  Shape sent, received;
  torch::ScalarType sent_type = torch::kFloat32, received_type = torch::kFloat32;
};

void CheckShape(const std::string& name, const ImageQuestion& q, const Tensor& input) {
  GAS_CHECK(input.dim() > 0 && input.sizes().slice(1) == at::IntArrayRef(q.sent), Errc::kBadOption, name,
            ": to ", q.op, ": shape ", input.sizes(),
            fmt::format(", must be [B, {}]", fmt::join(q.sent, ", ")));
}

// input: [B, sent]; more: further tensors of B rows, as they are sent. Gives [B, received] of the input's
// type and device.
Tensor ImagesOfProcess(const ProcessPool& pool, const ImageQuestion& q, const Tensor& input,
                       const std::vector<Tensor>& more = {}) {
  std::vector<Tensor> rows = {input.detach().to(torch::kCPU, q.sent_type).contiguous()};
  rows.insert(rows.end(), more.begin(), more.end());
  Shape sizes = {input.size(0)};
  sizes.insert(sizes.end(), q.received.begin(), q.received.end());
  Tensor reply = torch::empty(sizes, q.received_type);
  pool.Share(input.size(0), [&](ProcessConnection& connection, int64_t begin, int64_t end) {
    const nlohmann::json line = {{"op", q.op}, {"batch", end - begin}, {"shape", q.sent}};
    std::vector<std::span<const char>> bytes;
    for (const Tensor& all : rows) bytes.push_back(BytesOf(all.slice(0, begin, end)));
    connection.Ask(line, bytes, RoomOf(reply.slice(0, begin, end)));
  });
  return reply.to(input.device(), input.scalar_type());
}

using AskedImages = Asked<ImageQuestion>;

class DecodeFunction : public torch::autograd::Function<DecodeFunction> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& latents,
                        const c10::intrusive_ptr<AskedImages>& asked) {
    context->save_for_backward({latents});
    context->saved_data["asked"] = torch::IValue::make_capsule(asked);
    return ImagesOfProcess(*asked->pool, asked->question, latents);
  }

  static variable_list backward(AutogradContext* context, const variable_list& image_gradient) {
    const auto asked =
        c10::static_intrusive_pointer_cast<AskedImages>(context->saved_data["asked"].toCapsule());
    ImageQuestion question = asked->question;
    question.op = "decode_gradient";
    question.received = question.sent;
    const Tensor sent = image_gradient[0].to(torch::kCPU, torch::kFloat32).contiguous();
    return {ImagesOfProcess(*asked->pool, question, context->get_saved_variables()[0], {sent}), {}};
  }
};

}  // namespace

Tensor ProcessCodec::Decode(const Tensor& latents) const {
  const ImageQuestion question{"decode", state_, image_, pool_->hello().dtype};
  GAS_CHECK(
      !latents.requires_grad() || pool_->hello().decode_gradient, Errc::kBadOption, pool_->name(),
      ": the process gives no gradient through its images, its \"decode\" has no \"gradient\"; use a loss "
      "on states");
  CheckShape(pool_->name(), question, latents);
  return DecodeFunction::apply(latents, c10::make_intrusive<AskedImages>(pool_, question));
}

Tensor ProcessCodec::Encode(const Tensor& images) const {
  GAS_CHECK(pool_->hello().encodes, Errc::kBadOption, pool_->name(),
            ": the process makes no states of images, its first line has no \"encode\"");
  GAS_CHECK(!images.requires_grad(), Errc::kBadOption, pool_->name(),
            ": the process gives no gradient of the states that it makes of images");
  const ImageQuestion question{"encode", image_, state_, torch::kFloat32, pool_->hello().dtype};
  CheckShape(pool_->name(), question, images);
  return ImagesOfProcess(*pool_, question, images);
}

}  // namespace gas
