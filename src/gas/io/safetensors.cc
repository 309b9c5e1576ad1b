#include "gas/io/safetensors.h"

#include <fstream>
#include <set>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/layout.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// The limit of the reference implementation.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kLengthBytes = 8;
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr DtypeName kDtypes[] = {
    {"F64", torch::kFloat64}, {"F32", torch::kFloat32}, {"F16", torch::kFloat16}, {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},   {"I32", torch::kInt32},   {"I16", torch::kInt16},   {"I8", torch::kInt8},
    {"U8", torch::kUInt8},    {"BOOL", torch::kBool}};

struct Entry {
  std::string name;
  torch::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;  // within the data
};

// Takes the header's JSON as events: nothing is built that the format does not have, so nesting costs
// nothing, and duplicate keys are seen.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(std::string_view file, std::map<std::string, std::string>& metadata)
      : file_(file), metadata_(metadata) {}

  std::vector<Entry> TakeEntries() { return std::move(entries_); }

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
    in_metadata_ = name == kMetadataKey;
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
  std::vector<Entry> entries_;
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
void CheckRanges(std::string_view file, std::vector<Entry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const Entry& e : entries) {
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

// Fills `to` with the bytes from `offset` on; the caller has checked that they exist.
using ReadAt = std::function<void(uint64_t offset, std::span<char> to)>;

Safetensors Load(std::string_view file, uint64_t size, const ReadAt& read) {
  GAS_CHECK(size >= kLengthBytes, Errc::kBadFile, file, ": ", size, " bytes, a header length alone needs ",
            kLengthBytes);
  char length[kLengthBytes];
  read(0, length);
  const auto header_bytes = LoadLittleEndian<uint64_t>(length);
  GAS_CHECK(header_bytes <= size - kLengthBytes, Errc::kBadFile, file, " @0: header of ", header_bytes,
            " bytes, ", size - kLengthBytes, " left");
  GAS_CHECK(header_bytes <= kMaxHeaderBytes, Errc::kBadFile, file, " @0: header of ", header_bytes,
            " bytes, at most ", kMaxHeaderBytes);
  std::string header(header_bytes, '\0');
  read(kLengthBytes, header);
  // The format wants an object from the very first byte on.
  GAS_CHECK(header.starts_with('{'), Errc::kBadFile, file, " @", kLengthBytes,
            ": the header does not begin with '{'");

  Safetensors result;
  result.name = file;
  HeaderReader reader(file, result.metadata);
  Json::sax_parse(header, &reader);
  std::vector<Entry> entries = reader.TakeEntries();
  const uint64_t data_begin = kLengthBytes + header_bytes;
  CheckRanges(file, entries, size - data_begin);
  for (const Entry& e : entries) {
    Tensor tensor = torch::empty(e.shape, e.type);
    if (e.end > e.begin) {
      read(data_begin + e.begin, {static_cast<char*>(tensor.data_ptr()), e.end - e.begin});
    }
    CheckBooleans(tensor, std::string(file) + ": tensor '" + e.name + "'");
    result.tensors.emplace(e.name, std::move(tensor));
  }
  return result;
}

// The format's name, or null for a type that it does not have.
const char* NameOf(torch::ScalarType type) {
  for (const DtypeName& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return nullptr;
}

struct Item {
  std::string name;
  const char* dtype;
  Tensor tensor;
};

// Larger elements first: then every tensor begins at a multiple of its element size.
std::vector<Item> ItemsInOrder(const std::string& file, const std::map<std::string, Tensor>& tensors) {
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors) {
    GAS_CHECK(name != kMetadataKey, Errc::kBadOption, file, ": no tensor may be called ", kMetadataKey);
    GAS_CHECK(tensor.defined() && tensor.layout() == torch::kStrided, Errc::kBadOption, file, ": tensor '",
              name, "' is undefined or not dense");
    const char* dtype = NameOf(tensor.scalar_type());
    GAS_CHECK(dtype != nullptr, Errc::kBadOption, file, ": tensor '", name, "' has dtype ",
              c10::toString(tensor.scalar_type()), ", which safetensors cannot hold");
    items.push_back({name, dtype, tensor});
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });
  return items;
}

std::string MakeHeader(const std::string& file, const std::vector<Item>& items,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const Item& item : items) {
    const uint64_t end = offset + item.tensor.nbytes();
    header[item.name] = {
        {"dtype", item.dtype}, {"shape", item.tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& e) {  // a name or metadata value that is not UTF-8
    Fail(Errc::kBadOption, file, ": the header cannot be written: ", e.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  GAS_CHECK(text.size() <= kMaxHeaderBytes, Errc::kBadOption, file, ": header of ", text.size(),
            " bytes, at most ", kMaxHeaderBytes);
  return text;
}

}  // namespace

const Tensor& Safetensors::at(const std::string& tensor) const {
  const auto found = tensors.find(tensor);
  GAS_CHECK(found != tensors.end(), Errc::kBadFile, name, ": no tensor '", tensor, "' among its ",
            tensors.size());
  return found->second;
}

Safetensors ParseSafetensors(std::string_view name, std::span<const char> bytes) {
  return Load(name, bytes.size(), [bytes](uint64_t offset, std::span<char> to) {
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), to.size(), to.begin());
  });
}

// Reads each tensor straight into its memory, so that a file needs its own size and not twice that.
Safetensors ReadSafetensors(const fs::path& path) {
  const std::string name = path.string();
  std::error_code error;
  GAS_CHECK(fs::is_regular_file(path, error), Errc::kBadFile, name, ": not there, or not a regular file");
  const uint64_t size = fs::file_size(path, error);
  GAS_CHECK(!error && size <= kMaxFileBytes, Errc::kBadFile, name, ": ", size, " bytes, at most ",
            kMaxFileBytes, " are read");
  std::ifstream in(path, std::ios::binary);
  GAS_CHECK(in, Errc::kBadFile, name, ": cannot open it");
  return Load(name, size, [&](uint64_t offset, std::span<char> to) {
    in.seekg(static_cast<std::streamoff>(offset));
    in.read(to.data(), static_cast<std::streamsize>(to.size()));
    GAS_CHECK(in, Errc::kIo, name, " @", offset, ": cannot read ", to.size(), " bytes");
  });
}

void WriteSafetensors(const fs::path& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  const std::vector<Item> items = ItemsInOrder(path.string(), tensors);
  const std::string header = MakeHeader(path.string(), items, metadata);
  WriteFile(path, [&](const auto& append) {
    const uint64_t length = header.size();
    append({reinterpret_cast<const char*>(&length), sizeof length});
    append(header);
    for (const Item& item : items) {
      const Tensor flat = item.tensor.detach().to(torch::kCPU).contiguous();
      append({static_cast<const char*>(flat.data_ptr()), flat.nbytes()});
    }
  });
}

}  // namespace gas
