// SHA-256 by OpenSSL's libcrypto, which uses the processor's instructions for it.
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"

namespace gas {
namespace {

class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    Check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
  }

  void Update(std::span<const char> bytes) {
    Check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }

  std::string Finish() {
    std::array<unsigned char, 32> digest;
    Check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
    std::string hex;
    for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
  }

 private:
  static void Check(int success) {
    GAS_CHECK(success, Errc::kUnavailable, "libcrypto does not give SHA-256");
  }

  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string Sha256(std::span<const char> bytes) {
  Hasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

std::string Sha256OfFile(const std::filesystem::path& path) {
  GAS_CHECK(std::filesystem::is_regular_file(path), Errc::kBadFile, path.string(), ": not a regular file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  GAS_CHECK(file, Errc::kBadFile, path.string(), ": cannot open it: ", std::strerror(errno));
  Hasher hasher;
  Bytes piece(1 << 20);
  while (const size_t n = std::fread(piece.data(), 1, piece.size(), file.get())) {
    hasher.Update(std::span<const char>(piece).first(n));
  }
  GAS_CHECK(std::ferror(file.get()) == 0, Errc::kIo, path.string(),
            ": cannot read it: ", std::strerror(errno));
  return hasher.Finish();
}

}  // namespace gas
