#include "gas/io/torch_formats.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/layout.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/pickle_opcodes.h"
#include "gas/io/zip.h"

namespace gas {
namespace {

constexpr std::string_view kZipMagic = "PK\3\4";
constexpr std::string_view kPickleEntry = "data.pkl", kStorageFolder = "data/",
                           kScriptEntry = "constants.pkl", kCompiledFolder = "/data/aotinductor/";
constexpr std::string_view kByteOrderEntry = "byteorder";

// How pickles of these protocols begin.
constexpr char kLeastProtocol = 2, kLastProtocol = 5;

// A pickle of the integer 0x1950a86a20f9469cfc6c as protocol 2 has it: LONG1 of ten bytes.
constexpr std::string_view kStreamMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
constexpr int64_t kStreamVersion = 1001;

constexpr std::string_view kTarMagic = "ustar";
constexpr size_t kTarMagicOffset = 257;

std::string_view AsText(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

std::string EntryName(std::string_view archive, const ZipEntry& entry) {
  return std::string(archive) + ": entry " + Quoted(entry.name);
}

// What lies in the archive as it is.
std::span<const char> StoredData(std::string_view archive, const ZipEntry& entry) {
  GAS_CHECK(!entry.deflated, Errc::kBadFile, EntryName(archive, entry),
            " is compressed, PyTorch's files are not; unpack the archive and pack it with zip -0");
  return entry.data;
}

// Whether the path of an entry ends in this name.
bool IsNamed(std::string_view path, std::string_view name) {
  return path.ends_with(name) && (path.size() == name.size() || path[path.size() - name.size() - 1] == '/');
}

bool AnyIsNamed(std::span<const std::string> entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const std::string& entry) { return IsNamed(entry, name); });
}

// The one pickle of the archive, whose folder is that of everything else.
const ZipEntry& FindPickleEntry(std::string_view archive, const std::vector<ZipEntry>& entries) {
  const ZipEntry* found = nullptr;
  for (const ZipEntry& entry : entries) {
    if (!IsNamed(entry.name, kPickleEntry)) continue;
    GAS_CHECK(found == nullptr, Errc::kBadFile, archive, ": has the entries ", Quoted(found->name), " and ",
              Quoted(entry.name), ", one pickle is read");
    found = &entry;
  }
  GAS_CHECK(found != nullptr, Errc::kBadFile, archive, ": a zip archive without an entry data.pkl");
  return *found;
}

// Takes pickles and storages one after the other.
class StreamReader {
 public:
  StreamReader(std::string_view name, std::span<const char> bytes) : name_(name), bytes_(bytes) {}

  // Of the next pickle, for messages: offsets in it count from where it begins.
  std::string NextName() const { return at_ == 0 ? name_ : name_ + ": pickle at " + std::to_string(at_); }

  Pickle TakePickle(const PickleOptions& options) {
    Pickle pickle = ParsePickle(NextName(), bytes_.subspan(at_), options);
    at_ += pickle.size;
    return pickle;
  }

  std::span<const char> TakeStorage(const std::string& key, size_t element) {
    const uint64_t left = bytes_.size() - at_;
    GAS_CHECK(left >= sizeof(int64_t), Errc::kBadFile, name_, " @", at_, ": ends before the storage ",
              Quoted(key));
    const auto count = LoadLittleEndian<int64_t>(bytes_.data() + at_);
    GAS_CHECK(count >= 0 && static_cast<uint64_t>(count) <= (left - sizeof count) / element, Errc::kBadFile,
              name_, " @", at_, ": the storage ", Quoted(key), " of ", count, " elements of ", element,
              " bytes, ", left - sizeof count, " bytes left");
    const auto storage = bytes_.subspan(at_ + sizeof count, static_cast<uint64_t>(count) * element);
    at_ += sizeof count + storage.size();
    return storage;
  }

 private:
  std::string name_;
  std::span<const char> bytes_;
  uint64_t at_ = 0;
};

void CheckSystem(std::string_view name, const Pickle& facts) {
  const auto* dict = facts.root->If<PickleDict>();
  const PickleRef order = dict == nullptr ? nullptr : ValueOf(*dict, "little_endian");
  const bool* little = order == nullptr ? nullptr : order->If<bool>();
  GAS_CHECK(little == nullptr || *little, Errc::kBadFile, name,
            ": big-endian numbers, only little-endian are read");
}

// Bytes of an element of each storage, which the value says and not the stream.
std::map<std::string, size_t> ElementSizes(const TorchContent& content) {
  std::map<std::string, size_t> sizes;
  for (const PickleValue& value : content.pickle.values) {
    const auto* persistent = value.If<PicklePersistentId>();
    if (persistent == nullptr) continue;
    const TorchStorageId id = ReadTorchStorageId(content.name, *persistent);
    const size_t element = torch::elementSize(id.dtype);
    const auto [known, is_new] = sizes.emplace(id.key, element);
    GAS_CHECK(is_new || known->second == element, Errc::kBadFile, PlaceOf(content.name, value),
              ": the storage ", Quoted(id.key), " has elements of ", known->second, " and of ", element,
              " bytes");
  }
  return sizes;
}

}  // namespace

bool LooksLikeZip(std::string_view head) { return head.starts_with(kZipMagic); }

bool LooksLikePickle(std::string_view head) {
  return head.size() >= 2 && static_cast<PickleOp>(head[0]) == PickleOp::kProto &&
         head[1] >= kLeastProtocol && head[1] <= kLastProtocol;
}

bool IsTorchScriptArchive(std::span<const std::string> entries) { return AnyIsNamed(entries, kScriptEntry); }

bool IsCompiledPackage(std::span<const std::string> entries) {
  return std::any_of(entries.begin(), entries.end(), [](const std::string& entry) {
    return entry.find(kCompiledFolder) != std::string::npos;
  });
}

bool IsTorchArchive(std::span<const std::string> entries) {
  return AnyIsNamed(entries, kPickleEntry) && !IsTorchScriptArchive(entries);
}

TorchContent ReadTorchZip(std::string_view name, std::span<const char> bytes, const PickleOptions& options) {
  const std::vector<ZipEntry> entries = ReadZipDirectory(name, bytes);
  const ZipEntry& pickle = FindPickleEntry(name, entries);
  const std::string folder = pickle.name.substr(0, pickle.name.size() - kPickleEntry.size());
  TorchContent content{.name = EntryName(name, pickle), .pickle = {}, .storages = {}};
  for (const ZipEntry& entry : entries) {
    if (!entry.name.starts_with(folder)) continue;
    const std::string_view rest = std::string_view(entry.name).substr(folder.size());
    GAS_CHECK(rest != kScriptEntry, Errc::kBadFile, name,
              ": a TorchScript archive, only what torch.save writes is read");
    if (rest == kByteOrderEntry) {
      GAS_CHECK(AsText(entry.data) == "little", Errc::kBadFile, name, ": its numbers are ",
                Quoted(AsText(entry.data)), "-endian, only little-endian are read");
    }
    if (rest.starts_with(kStorageFolder)) {
      content.storages.emplace(rest.substr(kStorageFolder.size()), StoredData(name, entry));
    }
  }
  const std::span<const char> data = StoredData(name, pickle);
  // PyTorch leaves the checksum at 0 if it is told not to compute it.
  if (pickle.crc != 0) CheckZipCrc(name, pickle, data);
  content.pickle = ParsePickle(content.name, data, options);
  return content;
}

bool IsTorchStream(std::span<const char> bytes) { return AsText(bytes).starts_with(kStreamMagic); }

TorchContent ReadTorchStream(std::string_view name, std::span<const char> bytes,
                             const PickleOptions& options) {
  GAS_CHECK(IsTorchStream(bytes), Errc::kBadFile, name, ": not a stream of torch.save");
  StreamReader in(name, bytes);
  in.TakePickle({});
  const Pickle version = in.TakePickle({});
  const int64_t number = IntegerOf(name, *version.root, "the version of the stream");
  GAS_CHECK(number == kStreamVersion, Errc::kBadFile, name, ": version ", number, ", must be ",
            kStreamVersion);
  CheckSystem(name, in.TakePickle({}));
  TorchContent content{.name = in.NextName(), .pickle = {}, .storages = {}};
  content.pickle = in.TakePickle(options);
  const std::string keys_name = in.NextName();
  const Pickle keys = in.TakePickle({});
  const auto elements = ElementSizes(content);
  for (const PickleRef item : ItemsOf(keys_name, *keys.root, 0, "the list of storages")) {
    const std::string& key = TextOf(keys_name, *item, "the key of a storage");
    const auto element = elements.find(key);
    GAS_CHECK(element != elements.end(), Errc::kBadFile, keys_name, ": no value has the storage ",
              Quoted(key));
    const bool is_new = content.storages.emplace(key, in.TakeStorage(key, element->second)).second;
    GAS_CHECK(is_new, Errc::kBadFile, keys_name, ": the storage ", Quoted(key), " is there twice");
  }
  return content;
}

TorchContent ReadPlainPickle(std::string_view name, std::span<const char> bytes,
                             const PickleOptions& options) {
  TorchContent content{
      .name = std::string(name), .pickle = ParsePickle(name, bytes, options), .storages = {}};
  GAS_CHECK(content.pickle.size == bytes.size(), Errc::kBadFile, name, " @", content.pickle.size, ": ",
            bytes.size() - content.pickle.size, " bytes follow the pickle");
  return content;
}

TorchContent ReadTorchContent(std::string_view name, std::span<const char> bytes,
                              const PickleOptions& options) {
  const std::string_view text = AsText(bytes);
  GAS_CHECK(text.size() <= kTarMagicOffset || !text.substr(kTarMagicOffset).starts_with(kTarMagic),
            Errc::kBadFile, name,
            ": a tar archive, as PyTorch wrote before 0.2; load and save it with a newer PyTorch");
  if (text.starts_with(kZipMagic)) return ReadTorchZip(name, bytes, options);
  if (IsTorchStream(bytes)) return ReadTorchStream(name, bytes, options);
  return ReadPlainPickle(name, bytes, options);
}

}  // namespace gas
