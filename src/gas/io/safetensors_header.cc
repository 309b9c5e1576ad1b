#include "gas/io/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "gas/core/error.h"
#include "gas/io/layout.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLengthBytes = 8;

struct DtypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr DtypeName kDtypes[] = {
    {"F64", torch::kFloat64}, {"F32", torch::kFloat32}, {"F16", torch::kFloat16}, {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},   {"I32", torch::kInt32},   {"I16", torch::kInt16},   {"I8", torch::kInt8},
    {"U8", torch::kUInt8},    {"BOOL", torch::kBool}};

// Takes the header's JSON as events: nothing is built that the format does not have, so nesting costs
// nothing, and duplicate keys are seen.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(std::string_view file, std::map<std::string, std::string>& metadata)
      : file_(file), metadata_(metadata) {}

  std::vector<SafetensorsEntry> TakeEntries() { return std::move(entries_); }

  bool null() override { Unexpected("null"); }
  bool boolean(bool) override { Unexpected("a boolean"); }
  bool number_float(double, const std::string& text) override { Unexpected("the number " + text); }
  bool binary(Json::binary_t&) override { Unexpected("binary data"); }
  bool number_integer(int64_t value) override { Unexpected("the number " + std::to_string(value)); }

  bool number_unsigned(uint64_t value) override {
    if (numbers_ == nullptr || value > std::numeric_limits<int64_t>::max()) {
      Unexpected("the number " + std::to_string(value));
    }
    // Shapes are bounded here, before the list can grow with the header.
    if (numbers_->size() == kMaxRank) Unexpected("more than " + std::to_string(kMaxRank) + " numbers");
    numbers_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (depth_ != 2 || numbers_ != nullptr) Unexpected("a string");
    if (in_metadata_) {
      const bool added = metadata_.emplace(field_, std::move(value)).second;
      GAS_CHECK(added, Errc::kBadFile, file_, ": metadata '", field_, "' is there twice");
      return true;
    }
    if (field_ != "dtype") Unexpected("a string");
    GAS_CHECK(!type_, Errc::kBadFile, Where(), " is there twice");
    for (const DtypeName& dtype : kDtypes) {
      if (value == dtype.name) type_ = dtype.type;
    }
    GAS_CHECK(type_, Errc::kBadFile, file_, ": tensor '", name_, "' has the unknown dtype '", value, "'");
    return true;
  }

  bool start_object(size_t) override {
    if (depth_ >= 2 || numbers_ != nullptr) Unexpected("an object");
    ++depth_;
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 1 && !in_metadata_) AddEntry();
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || numbers_ != nullptr) Unexpected("an array");
    if (field_ != "shape" && field_ != "data_offsets") Unexpected("an array");
    auto& list = field_ == "shape" ? shape_ : range_;
    GAS_CHECK(!list, Errc::kBadFile, Where(), " is there twice");
    numbers_ = &list.emplace();
    return true;
  }

  bool end_array() override {
    numbers_ = nullptr;
    return true;
  }

  bool key(std::string& name) override {
    if (depth_ == 2) {
      field_ = name;
      return true;
    }
    GAS_CHECK(names_.insert(name).second, Errc::kBadFile, file_, ": '", name, "' is there twice");
    name_ = name;
    in_metadata_ = name == kSafetensorsMetadataKey;
    field_.clear();
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    Fail(Errc::kBadFile, file_, " @", kLengthBytes + position, ": the header is not JSON");
  }

 private:
  std::string Where() const {
    std::string where = std::string(file_) + ": header";
    if (depth_ >= 1) where += ", '" + name_ + "'";
    return field_.empty() ? where : where + " " + field_;
  }

  [[noreturn]] void Unexpected(const std::string& what) const {
    Fail(Errc::kBadFile, Where(), ": ", what, " is not allowed here");
  }

  void AddEntry() {
    const char* missing = !type_ ? "dtype" : !shape_ ? "shape" : !range_ ? "data_offsets" : nullptr;
    GAS_CHECK(missing == nullptr, Errc::kBadFile, file_, ": tensor '", name_, "' has no ", missing);
    GAS_CHECK(range_->size() == 2, Errc::kBadFile, file_, ": tensor '", name_, "' has ", range_->size(),
              " data_offsets, must be 2");
    entries_.push_back({.name = name_,
                        .type = *type_,
                        .shape = std::move(*shape_),
                        .begin = static_cast<uint64_t>(range_->front()),
                        .end = static_cast<uint64_t>(range_->back())});
    type_.reset();
    shape_.reset();
    range_.reset();
  }

  std::string_view file_;
  std::map<std::string, std::string>& metadata_;
  std::vector<SafetensorsEntry> entries_;
  std::set<std::string> names_;
  int depth_ = 0;  // open objects

  // The tensor (or the metadata) being read, and the key last seen inside it.
  std::string name_, field_;
  bool in_metadata_ = false;
  std::optional<torch::ScalarType> type_;
  std::optional<std::vector<int64_t>> shape_, range_;
  std::vector<int64_t>* numbers_ = nullptr;  // the list being read
};

// Every byte of the data belongs to exactly one tensor, and each tensor's bytes are its shape's.
void CheckRanges(std::string_view file, std::vector<SafetensorsEntry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const SafetensorsEntry& e : entries) {
    GAS_CHECK(e.begin <= e.end && e.end <= data_bytes, Errc::kBadFile, file, ": tensor '", e.name,
              "' has bytes [", e.begin, ", ", e.end, ") of ", data_bytes);
    GAS_CHECK(e.begin >= covered, Errc::kBadFile, file, ": tensor '", e.name, "' begins at ", e.begin,
              " and overlaps another that ends at ", covered);
    GAS_CHECK(e.begin == covered, Errc::kBadFile, file, ": bytes [", covered, ", ", e.begin,
              ") before tensor '", e.name, "' belong to no tensor");
    covered = e.end;
    const std::optional<uint64_t> bytes = ByteSize(e.shape, torch::elementSize(e.type));
    GAS_CHECK(bytes, Errc::kBadFile, file, ": tensor '", e.name,
              "' has a shape that overflows: ", at::IntArrayRef(e.shape));
    GAS_CHECK(*bytes == e.end - e.begin, Errc::kBadFile, file, ": tensor '", e.name, "' of shape ",
              at::IntArrayRef(e.shape), " needs ", *bytes, " bytes, its data_offsets give ", e.end - e.begin);
  }
  GAS_CHECK(covered == data_bytes, Errc::kBadFile, file, ": the last ", data_bytes - covered,
            " bytes belong to no tensor");
}

}  // namespace

SafetensorsHeader ReadSafetensorsHeader(std::string_view file, uint64_t size, const ReadBytesAt& read) {
  GAS_CHECK(size >= kLengthBytes, Errc::kBadFile, file, ": ", size, " bytes, a header length alone needs ",
            kLengthBytes);
  char length[kLengthBytes];
  read(0, length);
  const auto header_bytes = LoadLittleEndian<uint64_t>(length);
  GAS_CHECK(header_bytes <= size - kLengthBytes, Errc::kBadFile, file, " @0: header of ", header_bytes,
            " bytes, ", size - kLengthBytes, " left");
  GAS_CHECK(header_bytes <= kMaxSafetensorsHeaderBytes, Errc::kBadFile, file, " @0: header of ", header_bytes,
            " bytes, at most ", kMaxSafetensorsHeaderBytes);
  std::string text(header_bytes, '\0');
  read(kLengthBytes, text);
  // The format wants an object from the very first byte on.
  GAS_CHECK(text.starts_with('{'), Errc::kBadFile, file, " @", kLengthBytes,
            ": the header does not begin with '{'");
  SafetensorsHeader header;
  HeaderReader reader(file, header.metadata);
  Json::sax_parse(text, &reader);
  header.entries = reader.TakeEntries();
  header.data_begin = kLengthBytes + header_bytes;
  CheckRanges(file, header.entries, size - header.data_begin);
  return header;
}

bool LooksLikeSafetensors(std::string_view head) {
  return head.size() > kLengthBytes && head[kLengthBytes] == '{' &&
         LoadLittleEndian<uint64_t>(head.data()) <= kMaxSafetensorsHeaderBytes;
}

const char* SafetensorsDtypeName(torch::ScalarType type) {
  for (const DtypeName& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return nullptr;
}

}  // namespace gas
