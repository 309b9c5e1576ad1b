// CLIP's byte-pair tokenizer (Radford et al. 2021): texts to the numbers that its text encoders know.
#ifndef GAS_MODELS_TEXT_CLIP_TOKENIZER_H_
#define GAS_MODELS_TEXT_CLIP_TOKENIZER_H_

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gas/core/torch.h"

namespace gas::text {

class ClipTokenizer {
 public:
  // The merges of published vocabularies; their longer list holds more, which no published model uses.
  static constexpr size_t kPublishedMerges = 49152 - 256 - 2;

  // path: a folder with merges.txt and, if its numbers are not the published ones, vocab.json; such a list of
  // merges alone; or OpenAI's bpe_simple_vocab_16e6.txt.gz, or the same unpacked. Without vocab.json there
  // must be kPublishedMerges merges. Throws Error(kBadFile), which names the file and the line.
  explicit ClipTokenizer(const std::filesystem::path& path);

  // The tokens of a text, without start and end. It is cleaned (text/prompt_cleaning.h), runs of white space
  // are one space, letters become lower case, and the words "<|startoftext|>" and "<|endoftext|>" the tokens
  // of that name. Throws Error(kBadOption) for text that is not UTF-8.
  std::vector<int64_t> Encode(std::string_view text) const;
  // The text of tokens, as far as they tell it: for people.
  std::string Decode(std::span<const int64_t> tokens) const;

  int64_t start() const { return start_; }
  int64_t end() const { return end_; }
  // The largest number that Encode gives, plus one.
  int64_t size() const { return static_cast<int64_t>(words_.size()); }
  // The number of a token by its text; throws Error(kBadFile) if the vocabulary has none.
  int64_t NumberOf(const std::string& token) const;
  const std::string& name() const { return name_; }  // the file's path, for messages

 private:
  void ReadMerges(const std::filesystem::path& path, bool published);
  void ReadNumbers(const std::filesystem::path& path);
  void SetNumbers();
  void CheckVocabulary();
  void AddWord(std::u32string_view word, std::vector<int64_t>& tokens) const;
  std::vector<std::string> Merged(std::vector<std::string> parts) const;

  std::string name_;
  std::vector<std::pair<std::string, std::string>> merges_;
  std::unordered_map<std::string, int64_t> ranks_;    // of merges, "a b"
  std::unordered_map<std::string, int64_t> numbers_;  // of tokens
  std::vector<std::string> words_;                    // by number; "" where there is none
  int64_t start_ = 0, end_ = 0;
};

// A prompt as a text encoder takes it.
struct PromptTokens {
  std::vector<int64_t> ids;  // `length` of them: start, the text's, end, padding
  std::string cut;           // the end of the text that found no room; empty if all did
};

// padding: the token behind the end. Where the padding is written as a text of its own in the vocabulary, as
// "!" is for the second encoder of Stable Diffusion XL, its every occurrence in a prompt is that token too:
// padding_text; empty for none.
struct PaddingOptions {
  int64_t length = 77;
  int64_t padding = 0;
  std::string padding_text = {};
};
PromptTokens TokensOf(const ClipTokenizer& tokenizer, std::string_view prompt, const PaddingOptions& options);

}  // namespace gas::text

#endif  // GAS_MODELS_TEXT_CLIP_TOKENIZER_H_
