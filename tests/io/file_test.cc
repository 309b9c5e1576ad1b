#include "gas/io/file.h"

#include <sys/stat.h>

#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;
using std::literals::operator""sv;

std::string Text(const fs::path& path) {
  const Bytes bytes = ReadFile(path);
  return {bytes.begin(), bytes.end()};
}

size_t FilesIn(const fs::path& directory) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

TEST(WriteFile, RoundTripsAndReplaces) {
  const TempDir dir;
  const fs::path path = dir / "file";
  for (const std::string_view text : {"first"sv, ""sv, "with\0zero"sv}) {
    WriteFile(path, text);
    EXPECT_EQ(Text(path), text);
    EXPECT_EQ(FilesIn(dir.path()), 1u);
  }
}

TEST(WriteFile, JoinsThePiecesOfAProducer) {
  const TempDir dir;
  WriteFile(dir / "file", [](const auto& append) {
    for (const char c : "abc"sv) append({&c, 1});
  });
  EXPECT_EQ(Text(dir / "file"), "abc");
}

TEST(WriteFile, WorksForTheLongestNames) {
  const TempDir dir;
  const fs::path path = dir / std::string(255, 'n');
  WriteFile(path, "x"sv);
  EXPECT_EQ(Text(path), "x");
}

TEST(WriteFile, GivesTheModeOfTheUmask) {
  const TempDir dir;
  const mode_t before = ::umask(022);
  WriteFile(dir / "file", "x"sv);
  ::umask(before);
  EXPECT_EQ(fs::status(dir / "file").permissions(), static_cast<fs::perms>(0644));
}

TEST(WriteFile, AFailingProducerLeavesTheOldFileAndNothingElse) {
  const TempDir dir;
  const fs::path path = dir / "file";
  WriteFile(path, "old"sv);
  const auto write = [&] {
    WriteFile(path, [](const auto& append) {
      append("half"sv);
      Fail(Errc::kNumeric, "the producer stops");
    });
    return 0;
  };
  EXPECT_ERROR(write(), Errc::kNumeric, "the producer stops");
  EXPECT_EQ(Text(path), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(WriteFile, AFullDiskLeavesTheOldFileAndNothingElse) {
  const TempDir dir;
  const fs::path path = dir / "file";
  WriteFile(path, "old"sv);
  const std::string big(1 << 20, 'x');
  {
    const testing::FileSizeLimit limit(4096);
    EXPECT_ERROR((WriteFile(path, big), 0), Errc::kIo, "cannot write it: File too large");
    EXPECT_ERROR((WriteFile(path, big), 0), Errc::kIo, path.string());
  }
  EXPECT_EQ(Text(path), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(WriteFile, RefusesMissingFoldersAndWhatIsNoFile) {
  const TempDir dir;
  EXPECT_ERROR((WriteFile(dir / "no/file", "x"sv), 0), Errc::kIo, "cannot create it: No such file");
  EXPECT_ERROR((WriteFile(dir.path(), "x"sv), 0), Errc::kIo, "exists and is not a regular file");
  EXPECT_ERROR((WriteFile("/dev/null", "x"sv), 0), Errc::kIo, "exists and is not a regular file");
}

TEST(WriteFile, FollowsSymbolicLinks) {
  const TempDir dir;
  fs::create_directory(dir / "disk");
  WriteFile(dir / "disk/file", "old"sv);
  fs::create_symlink("disk/file", dir / "link");
  fs::create_symlink(dir / "link", dir / "second");
  WriteFile(dir / "second", "new"sv);
  EXPECT_TRUE(fs::is_symlink(dir / "second"));
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(Text(dir / "disk/file"), "new");
}

TEST(WriteFile, MakesTheFileThatALinkLeadsTo) {
  const TempDir dir;
  fs::create_symlink("later", dir / "link");
  WriteFile(dir / "link", "x"sv);
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(Text(dir / "later"), "x");
}

TEST(WriteFile, RefusesLinksThatLeadInACircle) {
  const TempDir dir;
  fs::create_symlink("b", dir / "a");
  fs::create_symlink("a", dir / "b");
  EXPECT_ERROR((WriteFile(dir / "a", "x"sv), 0), Errc::kIo, "more than 40 symbolic links");
}

TEST(WriteFile, RefusesAReadOnlyFolder) {
  if (::geteuid() == 0) GTEST_SKIP() << "permissions do not bind the superuser";
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0555);
  EXPECT_ERROR((WriteFile(dir / "file", "x"sv), 0), Errc::kIo, "cannot create it: Permission denied");
  ::chmod(dir.path().c_str(), 0755);
}

TEST(LooksLikeFile, NamesOfOursDoNot) {
  for (const char* name : {"fashion", "dpmpp-3m", "r3gan-latent-4", "unipc-3-bh2", ""}) {
    EXPECT_FALSE(LooksLikeFile(name)) << name;
  }
  for (const char* file : {"a.json", "./a", "runs/gs", "/x"}) EXPECT_TRUE(LooksLikeFile(file)) << file;
}

TEST(ReadFile, RefusesWhatIsMissingNoFileOrTooLarge) {
  const TempDir dir;
  WriteFile(dir / "five", "12345"sv);
  EXPECT_ERROR(ReadFile(dir / "none"), Errc::kBadFile, "none: cannot open it: No such file");
  EXPECT_ERROR(ReadFile(dir.path()), Errc::kBadFile, "not a regular file");
  EXPECT_ERROR(ReadFile("/dev/zero"), Errc::kBadFile, "not a regular file");
  EXPECT_ERROR(ReadFile(dir / "five", 4), Errc::kBadFile, "five: 5 bytes, at most 4 are read");
  EXPECT_EQ(ReadFile(dir / "five", 5).size(), 5u);
}

TEST(ReadFile, DoesNotWaitForTheWriterOfAPipe) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ReadFile(dir / "pipe"), Errc::kBadFile, "not a regular file");
}

TEST(MakeDirectory, MakesParentsAndAcceptsWhatIsThere) {
  const TempDir dir;
  MakeDirectory(dir / "a/b/c");
  MakeDirectory(dir / "a/b/c");
  EXPECT_TRUE(fs::is_directory(dir / "a/b/c"));
  WriteFile(dir / "file", "x"sv);
  EXPECT_ERROR((MakeDirectory(dir / "file/sub"), 0), Errc::kIo, "cannot create the directory");
  EXPECT_ERROR((MakeDirectory(dir / "file"), 0), Errc::kIo, "cannot create the directory");
}

struct Digest {
  std::string text;
  const char* sha256;
};

// The examples of FIPS 180-4 (as NIST publishes them), and lengths around the padding's boundaries, from
// coreutils' sha256sum.
const Digest kDigests[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {std::string(55, 'a'), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
    {std::string(56, 'a'), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
    {std::string(63, 'a'), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
    {std::string(64, 'a'), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
    {std::string(65, 'a'), "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
};

TEST(Sha256, AgreesWithTheStandardsExamples) {
  const TempDir dir;
  for (const Digest& d : kDigests) {
    EXPECT_EQ(Sha256(d.text), d.sha256) << d.text.size() << " bytes";
    WriteFile(dir / "file", d.text);
    EXPECT_EQ(Sha256OfFile(dir / "file"), d.sha256) << d.text.size() << " bytes";
  }
}

TEST(Sha256, RefusesMissingFiles) {
  const TempDir dir;
  EXPECT_ERROR(Sha256OfFile(dir / "none"), Errc::kBadFile, "none: not a regular file");
}

}  // namespace
}  // namespace gas
