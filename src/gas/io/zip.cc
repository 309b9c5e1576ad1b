#include "gas/io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <set>

#include "gas/core/error.h"
#include "gas/io/inflate.h"
#include "gas/io/layout.h"

namespace gas {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;      // 4.3.7
constexpr uint32_t kCentralSignature = 0x02014b50;    // 4.3.12
constexpr uint32_t kEnd64Signature = 0x06064b50;      // 4.3.14
constexpr uint32_t kLocator64Signature = 0x07064b50;  // 4.3.15
constexpr uint32_t kEndSignature = 0x06054b50;        // 4.3.16
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEnd64Bytes = 56, kLocator64Bytes = 20, kEndBytes = 22;
constexpr size_t kMaxComment = 0xFFFF;
constexpr uint16_t kZip64Extra = 0x0001;  // 4.5.3
constexpr uint16_t kEncryptedFlag = 1;
constexpr uint16_t kStored = 0, kDeflated = 8;
// In these fields the value is elsewhere: in the ZIP64 record or extra field.
constexpr uint32_t kElsewhere32 = 0xFFFFFFFF;
constexpr uint16_t kElsewhere16 = 0xFFFF;

// A bounded cursor: every read names the archive and the offset when it fails.
class Cursor {
 public:
  Cursor(std::string_view archive, std::span<const char> bytes, uint64_t offset)
      : archive_(archive), bytes_(bytes), offset_(offset) {}

  template <class T>
  T Take() {
    return LoadLittleEndian<T>(Take(sizeof(T)).data());
  }

  std::span<const char> Take(uint64_t n) {
    const uint64_t left = offset_ <= bytes_.size() ? bytes_.size() - offset_ : 0;
    GAS_CHECK(n <= left, Errc::kBadFile, archive_, " @", offset_, ": needs ", n, " bytes, ", left, " left");
    const auto taken = bytes_.subspan(offset_, n);
    offset_ += n;
    return taken;
  }

  void Expect(uint32_t signature, const char* what) {
    const uint64_t at = offset_;
    GAS_CHECK(Take<uint32_t>() == signature, Errc::kBadFile, archive_, " @", at, ": no ", what, " here");
  }

  uint64_t offset() const { return offset_; }

 private:
  std::string_view archive_;
  std::span<const char> bytes_;
  uint64_t offset_;
};

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
  uint64_t limit = 0;  // the first byte after which no entry or directory may reach
};

// The end record is the last thing in the archive but for its comment, whose length must lead to the
// archive's end.
uint64_t FindEndRecord(std::string_view archive, std::span<const char> bytes) {
  GAS_CHECK(bytes.size() >= kEndBytes, Errc::kBadFile, archive, ": ", bytes.size(),
            " bytes, a zip archive has at least ", kEndBytes);
  const size_t last = bytes.size() - kEndBytes;
  for (size_t comment = 0; comment <= std::min(last, kMaxComment); ++comment) {
    const char* at = bytes.data() + last - comment;
    if (LoadLittleEndian<uint32_t>(at) == kEndSignature && LoadLittleEndian<uint16_t>(at + 20) == comment) {
      return last - comment;
    }
  }
  Fail(Errc::kBadFile, archive, ": not a zip archive, or truncated: it has no end record");
}

// The directory from the ZIP64 end record that the locator just before `end` points to.
Directory Read64(std::string_view archive, std::span<const char> bytes, uint64_t end) {
  GAS_CHECK(end >= kLocator64Bytes, Errc::kBadFile, archive, ": no room for the ZIP64 locator before @", end);
  Cursor locator(archive, bytes, end - kLocator64Bytes);
  locator.Expect(kLocator64Signature, "ZIP64 locator");
  locator.Take<uint32_t>();
  Directory directory;
  directory.limit = locator.Take<uint64_t>();
  GAS_CHECK(
      directory.limit <= end - kLocator64Bytes && end - kLocator64Bytes - directory.limit >= kEnd64Bytes,
      Errc::kBadFile, archive, ": the ZIP64 end record at ", directory.limit, " lies beyond its locator at ",
      end - kLocator64Bytes);
  Cursor in(archive, bytes, directory.limit);
  in.Expect(kEnd64Signature, "ZIP64 end record");
  in.Take(20);          // record size, versions, disk numbers
  in.Take<uint64_t>();  // entries on this disk
  directory.entries = in.Take<uint64_t>();
  directory.size = in.Take<uint64_t>();
  directory.offset = in.Take<uint64_t>();
  return directory;
}

Directory FindDirectory(std::string_view archive, std::span<const char> bytes) {
  const uint64_t end = FindEndRecord(archive, bytes);
  Cursor in(archive, bytes, end + 4);
  const auto disk = in.Take<uint16_t>(), directory_disk = in.Take<uint16_t>();
  in.Take<uint16_t>();
  const auto entries = in.Take<uint16_t>();
  const auto size = in.Take<uint32_t>(), offset = in.Take<uint32_t>();
  Directory directory{.offset = offset, .size = size, .entries = entries, .limit = end};
  if (entries == kElsewhere16 || size == kElsewhere32 || offset == kElsewhere32) {
    directory = Read64(archive, bytes, end);
  } else {
    GAS_CHECK(disk == 0 && directory_disk == 0, Errc::kBadFile, archive, ": a part of a split archive");
  }
  GAS_CHECK(directory.offset <= directory.limit && directory.size <= directory.limit - directory.offset,
            Errc::kBadFile, archive, ": the directory of ", directory.size, " bytes at ", directory.offset,
            " does not end before ", directory.limit);
  GAS_CHECK(directory.entries <= directory.size / kCentralBytes, Errc::kBadFile, archive, ": claims ",
            directory.entries, " entries in a directory of ", directory.size, " bytes");
  return directory;
}

struct Sizes {
  uint64_t size = 0, compressed = 0, local_offset = 0;
};

// Takes from the ZIP64 extra field those of the values that do not fit their 32 bits, in its fixed order.
void Widen(std::string_view where, std::span<const char> extra, Sizes& sizes) {
  if (sizes.size != kElsewhere32 && sizes.compressed != kElsewhere32 && sizes.local_offset != kElsewhere32)
    return;
  Cursor in(where, extra, 0);
  while (in.offset() < extra.size()) {
    const auto id = in.Take<uint16_t>();
    const auto field = in.Take(in.Take<uint16_t>());
    if (id != kZip64Extra) continue;
    Cursor values(where, field, 0);
    for (uint64_t* value : {&sizes.size, &sizes.compressed, &sizes.local_offset}) {
      if (*value == kElsewhere32) *value = values.Take<uint64_t>();
    }
    return;
  }
  Fail(Errc::kBadFile, where, ": a size of 2^32 - 1 without a ZIP64 field");
}

// The bytes between the entry's local header and `limit`, of which its data are the first `compressed`.
std::span<const char> Locate(const std::string& where, std::span<const char> bytes, const Sizes& sizes,
                             uint64_t limit) {
  Cursor in(where, bytes.first(limit), sizes.local_offset);
  in.Expect(kLocalSignature, "local header");
  in.Take(kLocalBytes - 8);
  const auto name_bytes = in.Take<uint16_t>(), extra_bytes = in.Take<uint16_t>();
  in.Take(uint64_t{name_bytes} + extra_bytes);
  return in.Take(sizes.compressed);
}

ZipEntry ReadEntry(std::string_view archive, std::span<const char> bytes, uint64_t limit, Cursor& in) {
  in.Expect(kCentralSignature, "directory entry");
  in.Take<uint32_t>();  // versions
  const auto flags = in.Take<uint16_t>(), method = in.Take<uint16_t>();
  in.Take<uint32_t>();  // time and date
  ZipEntry entry;
  entry.crc = in.Take<uint32_t>();
  Sizes sizes;
  sizes.compressed = in.Take<uint32_t>();
  sizes.size = in.Take<uint32_t>();
  const auto name_bytes = in.Take<uint16_t>(), extra_bytes = in.Take<uint16_t>(),
             comment_bytes = in.Take<uint16_t>();
  in.Take(8);  // disk number, attributes
  sizes.local_offset = in.Take<uint32_t>();
  const auto name = in.Take(name_bytes);
  entry.name.assign(name.begin(), name.end());
  const auto extra = in.Take(extra_bytes);
  in.Take(comment_bytes);

  const std::string where = std::string(archive) + ": entry '" + entry.name + "'";
  GAS_CHECK((flags & kEncryptedFlag) == 0, Errc::kBadFile, where, " is encrypted");
  GAS_CHECK(method == kStored || method == kDeflated, Errc::kBadFile, where, " is compressed by method ",
            method, ", only stored (0) and deflated (8) are read");
  Widen(where, extra, sizes);
  entry.deflated = method == kDeflated;
  entry.size = sizes.size;
  entry.data = Locate(where, bytes, sizes, limit);
  GAS_CHECK(entry.deflated || entry.size == entry.data.size(), Errc::kBadFile, where, " is stored in ",
            entry.data.size(), " bytes but claims ", entry.size);
  GAS_CHECK(CanInflateTo(entry.data.size(), entry.size), Errc::kBadFile, where, " claims ", entry.size,
            " bytes, which ", entry.data.size(), " compressed bytes cannot hold");
  return entry;
}

void CheckDisjoint(std::string_view archive, const std::vector<ZipEntry>& entries) {
  std::vector<const ZipEntry*> by_place;
  for (const ZipEntry& e : entries) by_place.push_back(&e);
  std::sort(by_place.begin(), by_place.end(),
            [](const ZipEntry* a, const ZipEntry* b) { return a->data.data() < b->data.data(); });
  for (size_t i = 1; i < by_place.size(); ++i) {
    const ZipEntry &a = *by_place[i - 1], &b = *by_place[i];
    GAS_CHECK(a.data.data() + a.data.size() <= b.data.data(), Errc::kBadFile, archive, ": the entries '",
              a.name, "' and '", b.name, "' overlap");
  }
}

}  // namespace

std::vector<ZipEntry> ReadZipDirectory(std::string_view archive, std::span<const char> bytes) {
  const Directory directory = FindDirectory(archive, bytes);
  Cursor in(archive, bytes.first(directory.offset + directory.size), directory.offset);
  std::vector<ZipEntry> entries;
  std::set<std::string> names;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    entries.push_back(ReadEntry(archive, bytes, directory.offset, in));
    const std::string& name = entries.back().name;
    GAS_CHECK(names.insert(name).second, Errc::kBadFile, archive, ": entry '", name, "' is there twice");
  }
  CheckDisjoint(archive, entries);
  return entries;
}

Bytes ExtractZipEntry(std::string_view archive, const ZipEntry& entry) {
  Bytes content(entry.size);
  if (entry.deflated) {
    const std::string where = std::string(archive) + ": entry '" + entry.name + "'";
    Inflater stream(where, entry.data, Inflater::Wrapping::kRaw);
    stream.Read(content);
    stream.Finish();
  } else {
    std::copy(entry.data.begin(), entry.data.end(), content.begin());
  }
  CheckZipCrc(archive, entry, content);
  return content;
}

void CheckZipCrc(std::string_view archive, const ZipEntry& entry, std::span<const char> content) {
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  GAS_CHECK(crc == entry.crc, Errc::kBadFile, archive, ": entry '", entry.name, "' is damaged: CRC-32 ", crc,
            ", the directory says ", entry.crc);
}

}  // namespace gas
