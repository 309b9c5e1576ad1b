#include "gas/models/process/question.h"

#include <algorithm>
#include <cstddef>

#include "gas/models/process/request_text.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// The line of rows [begin, end). Version 1 has a single kind of request and a single shape.
Json LineOf(const char* op, const ProcessQuestion& e, ProcessConnection& connection, int64_t begin,
            int64_t end) {
  Json line = {{"batch", end - begin},
               {"t", e.t},
               {"alpha", e.alpha},
               {"sigma", e.sigma},
               {"labels", e.labels.defined()}};
  if (connection.hello().version == 1) return line;
  line["op"] = op;
  line["shape"] = e.state.sizes().slice(1).vec();
  if (e.guidance) line["guidance"] = *e.guidance;
  if (e.requests.defined()) {
    line["requests"] = connection.NumbersOf(RequestTexts(e.requests.slice(0, begin, end)));
  }
  return line;
}

// Rows [begin, end) of what every request sends.
std::vector<std::span<const char>> RowsSent(const ProcessQuestion& e, int64_t begin, int64_t end) {
  std::vector<std::span<const char>> inputs = {BytesOf(e.state.slice(0, begin, end))};
  if (e.labels.defined()) inputs.push_back(BytesOf(e.labels.slice(0, begin, end)));
  return inputs;
}

}  // namespace

Tensor OutputOf(const ProcessPool& pool, const ProcessQuestion& e) {
  Tensor output = torch::empty_like(e.state);
  pool.Share(e.state.size(0), [&](ProcessConnection& connection, int64_t begin, int64_t end) {
    connection.Ask(LineOf("predict", e, connection, begin, end), RowsSent(e, begin, end),
                   RoomOf(output.slice(0, begin, end)));
  });
  return output;
}

QuestionGradient GradientOf(const ProcessPool& pool, const ProcessQuestion& e,
                            const Tensor& output_gradient) {
  QuestionGradient gradient{torch::empty(e.state.sizes(), torch::kFloat32),
                            torch::empty({e.state.size(0), 3}, torch::kFloat64)};
  pool.Share(e.state.size(0), [&](ProcessConnection& connection, int64_t begin, int64_t end) {
    std::vector<std::span<const char>> inputs = RowsSent(e, begin, end);
    inputs.push_back(BytesOf(output_gradient.slice(0, begin, end)));
    const std::span<char> state = RoomOf(gradient.state.slice(0, begin, end));
    const std::span<char> level = RoomOf(gradient.level.slice(0, begin, end));
    std::vector<char> reply(state.size() + level.size());
    connection.Ask(LineOf("gradient", e, connection, begin, end), inputs, reply);
    const auto middle = reply.begin() + static_cast<std::ptrdiff_t>(state.size());
    std::copy(reply.begin(), middle, state.begin());
    std::copy(middle, reply.end(), level.begin());
  });
  return gradient;
}

}  // namespace gas
