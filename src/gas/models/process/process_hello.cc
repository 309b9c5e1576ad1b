#include "gas/models/process/process_hello.h"

#include <string>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxImageSide = 65536;

enum class WireDtype { kFloat32, kBfloat16, kFloat16 };
constexpr auto kWireDtypeNames = NamesOf<WireDtype>(
    "dtype",
    {{WireDtype::kFloat32, "float32"}, {WireDtype::kBfloat16, "bfloat16"}, {WireDtype::kFloat16, "float16"}});

torch::ScalarType TorchType(WireDtype dtype) {
  switch (dtype) {
    case WireDtype::kFloat32: return torch::kFloat32;
    case WireDtype::kBfloat16: return torch::kBFloat16;
    case WireDtype::kFloat16: return torch::kFloat16;
  }
  GAS_ASSERT(false);
}

// Optional entries of one object, with messages that begin with `where`.
class Entries {
 public:
  Entries(std::string where, const Json& json) : where_(std::move(where)), json_(json) {}

  bool Has(const char* key) const { return json_.contains(key); }
  bool Flag(const char* key) const { return Has(key) && TruthValue(What(key), json_.at(key)); }

  int64_t Whole(const char* key, int64_t least, int64_t most) const {
    return WholeNumber(What(key), RequiredEntry(where_, json_, key), least, most);
  }

  template <class Names>
  auto Enum(const char* key, const Names& names) const {
    std::string name;
    ReadField(What(key), RequiredEntry(where_, json_, key), name);
    try {
      return names.FromName(name);
    } catch (const Error& error) {  // it came from the process, not from an option
      Fail(Errc::kBadFile, where_, ": ", error.what());
    }
  }

  Entries Within(const char* key) const {
    const Json& inner = json_.at(key);
    GAS_CHECK(inner.is_object(), Errc::kBadFile, What(key), " = ", Shown(inner), ", must be an object");
    return {What(key), inner};
  }

  // Three numbers, the first of them 3.
  std::vector<int64_t> ImageShape(const char* key) const {
    const Json& entry = RequiredEntry(where_, json_, key);
    std::vector<int64_t> shape;
    ReadField(What(key), entry, shape);
    bool fits = shape.size() == 3 && shape[0] == 3;
    for (const int64_t side : shape) fits = fits && side >= 1 && side <= kMaxImageSide;
    GAS_CHECK(fits, Errc::kBadFile, What(key), " = ", Shown(entry), ", must be [3,H,W] with sides from 1 to ",
              kMaxImageSide);
    return shape;
  }

  std::string What(const char* key) const { return where_ + ": \"" + key + "\""; }

 private:
  std::string where_;
  const Json& json_;
};

// What version 2 has beside the facts.
void ReadOffers(const Entries& entries, ProcessHello& hello) {
  if (entries.Has("dtype")) hello.dtype = TorchType(entries.Enum("dtype", kWireDtypeNames));
  if (entries.Has("guidance")) hello.guidance = entries.Enum("guidance", kGuidanceSideNames);
  hello.gradient = entries.Flag("gradient");
  hello.texts = entries.Flag("texts");
  hello.seeds = entries.Flag("seeds");
  if (entries.Has("decode")) {
    const Entries decode = entries.Within("decode");
    hello.image = decode.ImageShape("shape");
    hello.encodes = decode.Flag("encode");
    hello.decode_gradient = decode.Flag("gradient");
    if (decode.Has("multiple")) hello.size_multiple = decode.Whole("multiple", 1, kMaxImageSide);
  }
}

// What goes together.
void CheckOffers(const Entries& entries, const ProcessHello& hello) {
  GAS_CHECK(!hello.texts || hello.classes == 0, Errc::kBadFile, entries.What("classes"), " = ", hello.classes,
            ", must be 0 for a network that takes texts");
  GAS_CHECK(!hello.seeds || hello.texts, Errc::kBadFile, entries.What("seeds"),
            " = true, must not be for a network that takes no texts");
  if (hello.size_multiple == 0) return;
  GAS_CHECK(hello.texts && hello.shape.size() == 3 && hello.image[1] % hello.shape[1] == 0 &&
                hello.image[2] % hello.shape[2] == 0 &&
                hello.image[1] / hello.shape[1] == hello.image[2] / hello.shape[2] &&
                hello.size_multiple % (hello.image[1] / hello.shape[1]) == 0,
            Errc::kBadFile, entries.What("decode"),
            " has \"multiple\", must be of a network that takes texts, with states [C,h,w] and images "
            "[3,f*h,f*w], and a multiple of f");
}

}  // namespace

ProcessHello ParseProcessHello(std::string_view where, std::string_view line) {
  const std::optional<Json> parsed = ParseJsonOrNone(line);
  GAS_CHECK(parsed && parsed->is_object(), Errc::kBadFile, where, ": its first line is ", Quoted(line),
            ", must be a JSON object");
  const Json& format = RequiredEntry(where, *parsed, "gas_denoiser");
  GAS_CHECK(format == 1 || format == 2, Errc::kBadFile, where, ": \"gas_denoiser\" = ", Shown(format),
            ", must be 1 or 2");
  ProcessHello hello;
  hello.version = format == 1 ? 1 : 2;
  const RankRange rank = hello.version == 1 ? RankRange{.least = 3, .most = 3} : RankRange{};
  static_cast<NetworkFacts&>(hello) = ParseNetworkFacts(where, *parsed, rank);
  if (hello.version == 1) return hello;
  const Entries entries(std::string(where), *parsed);
  ReadOffers(entries, hello);
  CheckOffers(entries, hello);
  return hello;
}

}  // namespace gas
