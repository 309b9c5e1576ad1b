// The directory of a zip archive in memory (APPNOTE.TXT 6.3, ZIP64 included), and the bytes of its entries.
#ifndef GAS_IO_ZIP_H_
#define GAS_IO_ZIP_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gas/io/file.h"

namespace gas {

struct ZipEntry {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  uint64_t size = 0;           // of the content
  std::span<const char> data;  // as in the archive: `size` bytes of content unless deflated
};

// Entries in the order of the central directory, with its sizes. Throws Error(kBadFile), naming `archive` and
// the entry, for anything else than stored and deflated entries in one unencrypted part, for names that occur
// twice, and for entries that share bytes (a small archive could otherwise unfold to any size).
std::vector<ZipEntry> ReadZipDirectory(std::string_view archive, std::span<const char> bytes);

// The content, checked against the entry's CRC-32. Throws Error(kBadFile).
Bytes ExtractZipEntry(std::string_view archive, const ZipEntry& entry);

// Throws Error(kBadFile) unless `content` has the entry's CRC-32. For stored entries that are used in place.
void CheckZipCrc(std::string_view archive, const ZipEntry& entry, std::span<const char> content);

}  // namespace gas

#endif  // GAS_IO_ZIP_H_
