// Whole files, in and out: bounded reading, and writing that leaves either the old file or the new one.
#ifndef GAS_IO_FILE_H_
#define GAS_IO_FILE_H_

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gas {

using Bytes = std::vector<char>;

inline constexpr uint64_t kMaxFileBytes = uint64_t{64} << 30;

// Whether what people give for a model or a discriminator is a file, by a '/' or a '.' in it, or else a name
// of ours.
bool LooksLikeFile(std::string_view text);

// Throws Error(kBadFile) if the file is missing, not a regular file, or larger than max_bytes.
Bytes ReadFile(const std::filesystem::path& path, uint64_t max_bytes = kMaxFileBytes);

// Writes to a temporary name beside `path`, syncs, renames. On failure (Error(kIo), naming path and cause,
// such as a full disk) `path` is as before and the temporary file is gone. A symbolic link is followed.
void WriteFile(const std::filesystem::path& path, std::span<const char> bytes);

// Like WriteFile for a producer that writes in pieces: `produce` gets a function that appends bytes.
void WriteFile(const std::filesystem::path& path,
               const std::function<void(const std::function<void(std::span<const char>)>& append)>& produce);

// Writes a file that does not exist yet, whole or not at all. False, and nothing is changed, if `path`
// exists: of several writers one wins. Throws Error(kIo) like WriteFile.
bool WriteNewFile(const std::filesystem::path& path, std::span<const char> bytes);

// Creates the directory and its parents; throws Error(kIo).
void MakeDirectory(const std::filesystem::path& path);

// Lower-case hexadecimal SHA-256.
std::string Sha256(std::span<const char> bytes);
std::string Sha256OfFile(const std::filesystem::path& path);

}  // namespace gas

#endif  // GAS_IO_FILE_H_
