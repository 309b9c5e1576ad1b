#include "fuzz/fuzz.h"
#include "gas/models/text/clip_tokenizer.h"

// Merges up to the first zero byte, then the vocabulary; read, they tokenise a text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char*, std::span<const char> file) {
        const size_t zero = std::find(file.begin(), file.end(), '\0') - file.begin();
        const auto merges = gas::testing::OnDisk(file.first(zero), "merges.txt");
        gas::testing::OnDisk(file.subspan(std::min(zero + 1, file.size())), "vocab.json");
        const gas::text::ClipTokenizer tokenizer(merges.parent_path());
        tokenizer.Decode(tokenizer.Encode("the cat isn't here"));
      });
  return 0;
}
