#include "gas/models/process/process_codec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"

namespace gas {

Tensor ProcessCodec::Ask(const char* op, const Tensor& input, const std::vector<int64_t>& shape,
                         torch::ScalarType sent, const std::vector<int64_t>& reply_shape,
                         torch::ScalarType received) const {
  GAS_CHECK(!input.requires_grad(), Errc::kBadOption, pool_->name(),
            ": a process gives no gradient through its images; use a loss on states");
  GAS_CHECK(input.dim() > 0 && input.sizes().slice(1) == at::IntArrayRef(shape), Errc::kBadOption,
            pool_->name(), ": to ", op, ": shape ", input.sizes(),
            fmt::format(", must be [B, {}]", fmt::join(shape, ", ")));
  const Tensor all = input.to(torch::kCPU, sent).contiguous();
  std::vector<int64_t> sizes = {all.size(0)};
  sizes.insert(sizes.end(), reply_shape.begin(), reply_shape.end());
  Tensor reply = torch::empty(sizes, received);
  pool_->Share(all.size(0), [&](ProcessConnection& connection, int64_t begin, int64_t end) {
    const nlohmann::json line = {{"op", op}, {"batch", end - begin}, {"shape", shape}};
    connection.Ask(line, {BytesOf(all.slice(0, begin, end))}, RoomOf(reply.slice(0, begin, end)));
  });
  return reply.to(input.device(), input.scalar_type());
}

Tensor ProcessCodec::Decode(const Tensor& latents) const {
  return Ask("decode", latents, state_, pool_->hello().dtype, image_, torch::kFloat32);
}

Tensor ProcessCodec::Encode(const Tensor& images) const {
  GAS_CHECK(pool_->hello().encodes, Errc::kBadOption, pool_->name(),
            ": the process makes no states of images, its first line has no \"encode\"");
  return Ask("encode", images, image_, torch::kFloat32, state_, pool_->hello().dtype);
}

}  // namespace gas
