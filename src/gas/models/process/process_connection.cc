#include "gas/models/process/process_connection.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxHelloBytes = 1 << 20;
constexpr size_t kMaxReplyLineBytes = 1 << 16;
constexpr size_t kRememberedRequests = 1024;

}  // namespace

std::span<const char> BytesOf(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

std::span<char> RoomOf(const Tensor& tensor) {
  return {static_cast<char*>(tensor.data_ptr()), tensor.nbytes()};
}

std::optional<std::string> ErrorInReply(std::string_view where, std::string_view line, size_t expected) {
  const std::optional<Json> reply = ParseJsonOrNone(line);
  GAS_CHECK(reply && reply->is_object(), Errc::kBadFile, where, ": a reply begins with ", Quoted(line),
            ", must be a JSON object");
  const auto error = reply->find("error");
  if (error != reply->end()) return error->is_string() ? error->get<std::string>() : error->dump();
  const Json& bytes = RequiredEntry(where, *reply, "bytes");
  GAS_CHECK(bytes == expected, Errc::kBadFile, where, ": a reply has \"bytes\" = ", Shown(bytes),
            ", must be ", expected);
  return std::nullopt;
}

ProcessConnection::ProcessConnection(std::string name, const std::string& command, ChildOptions options)
    : name_(std::move(name)), process_(name_, command, std::move(options)), numbers_(kRememberedRequests) {}

void ProcessConnection::ReadHello() {
  hello_line_ = process_.ReadLine(kMaxHelloBytes);
  hello_ = ParseProcessHello(name_, hello_line_);
}

void ProcessConnection::Ask(const Json& line, const std::vector<std::span<const char>>& rest,
                            std::span<char> reply) {
  const std::string text = line.dump() + "\n";
  std::vector<std::span<const char>> request = {text};
  request.insert(request.end(), rest.begin(), rest.end());
  if (hello_.version == 1) return process_.Exchange(std::move(request), reply);
  std::optional<std::string> error;  // the process goes on after one
  process_.Exchange(std::move(request), kMaxReplyLineBytes, [&](std::string_view reply_line) {
    error = ErrorInReply(name_, reply_line, reply.size());
    return error ? std::span<char>() : reply;
  });
  GAS_CHECK(!error, Errc::kUnavailable, name_, ": the process answers with an error: ", Quoted(*error));
}

std::vector<int64_t> ProcessConnection::NumbersOf(const std::vector<std::string>& requests) {
  const std::vector<std::string> unknown = numbers_.Unknown(requests);
  std::vector<int64_t> forget = numbers_.Excess(unknown.size());
  for (const std::string& request : unknown) {
    Json line = {{"op", "condition"}, {"number", numbers_.next()}, {"request", ParseJson(name_, request)}};
    if (!forget.empty()) line["forget"] = forget;
    Ask(line, {}, {});
    numbers_.Forget(forget);
    forget.clear();
    numbers_.Add(request);
  }
  return numbers_.Of(requests);
}

}  // namespace gas
