#include "gas/models/text/clip_tokenizer.h"

#include <algorithm>
#include <array>

#include "gas/core/error.h"
#include "gas/core/split.h"
#include "gas/io/file.h"
#include "gas/io/inflate.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"
#include "gas/io/layout.h"
#include "gas/models/text/prompt_cleaning.h"
#include "gas/models/text/unicode.h"

namespace gas::text {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStart = "<|startoftext|>", kEnd = "<|endoftext|>", kEndOfWord = "</w>";
constexpr uint64_t kMaxListBytes = uint64_t{1} << 26;
constexpr size_t kMaxTokens = size_t{1} << 20;
// What an apostrophe may be followed by to be a token with it.
constexpr std::u32string_view kContractions[] = {U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"};

// Each byte as a printable character: the printable ones of Latin-1 are themselves, the others follow 255.
struct ByteTexts {
  ByteTexts() {
    const auto printable = [](int byte) {
      return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    };
    char32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      of_byte[byte] = ToUtf8(std::u32string(1, printable(byte) ? static_cast<char32_t>(byte) : next++));
      if (printable(byte)) in_order.push_back(of_byte[byte]);
    }
    for (int byte = 0; byte < 256; ++byte) {
      if (!printable(byte)) in_order.push_back(of_byte[byte]);
    }
  }
  std::array<std::string, 256> of_byte;
  std::vector<std::string> in_order;  // as vocabularies begin
};

const ByteTexts& Bytes256() {
  static const ByteTexts texts;
  return texts;
}

// The text of a file, unpacked if it is a gzip stream.
std::string TextOf(const fs::path& path) {
  const Bytes bytes = ReadFile(path, kMaxListBytes);
  const bool gzip = bytes.size() >= 18 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
  if (!gzip) return {bytes.data(), bytes.size()};
  const auto size = LoadLittleEndian<uint32_t>(bytes.data() + bytes.size() - sizeof(uint32_t));
  GAS_CHECK(size <= kMaxListBytes && CanInflateTo(bytes.size(), size), Errc::kBadFile, path.string(),
            ": claims ", size, " unpacked bytes, must be at most ", kMaxListBytes);
  std::string text(size, '\0');
  Inflater inflater(path.string(), {bytes.data(), bytes.size()}, Inflater::Wrapping::kGzip);
  inflater.Read(text);
  inflater.Finish();
  return text;
}

// One space for each run of white space, none at the ends.
std::u32string Spaced(std::u32string_view text) {
  std::u32string spaced;
  for (const char32_t c : text) {
    const bool space = IsSpace(c);
    if (space && (spaced.empty() || spaced.back() == U' ')) continue;
    spaced += space ? U' ' : c;
  }
  if (spaced.ends_with(U' ')) spaced.pop_back();
  return spaced;
}

bool IsOther(char32_t c) { return !IsSpace(c) && !IsLetter(c) && !IsNumber(c); }

// The length of the word at the beginning of `rest`, which begins with no space: a special word, a
// contraction, a run of letters, one number, or a run of what is neither.
size_t WordLength(std::u32string_view rest) {
  for (const std::u32string_view special : {U"<|startoftext|>", U"<|endoftext|>"}) {
    if (rest.starts_with(special)) return special.size();
  }
  if (rest[0] == U'\'') {
    for (const std::u32string_view letters : kContractions) {
      if (rest.substr(1).starts_with(letters)) return 1 + letters.size();
    }
  }
  if (IsNumber(rest[0])) return 1;
  const auto same = IsLetter(rest[0]) ? IsLetter : IsOther;
  return std::ranges::find_if_not(rest, same) - rest.begin();
}

std::string Pair(const std::string& first, const std::string& second) { return first + ' ' + second; }

}  // namespace

ClipTokenizer::ClipTokenizer(const fs::path& path) : name_(path.string()) {
  const bool folder = fs::is_directory(path);
  const bool own_numbers = folder && fs::exists(path / "vocab.json");
  GAS_CHECK(!folder || fs::exists(path / "merges.txt"), Errc::kBadFile, path.string(),
            ": no merges.txt there; name a tokenizer's folder or its list of merges with --tokenizer");
  ReadMerges(folder ? path / "merges.txt" : path, !own_numbers);
  if (own_numbers) {
    ReadNumbers(path / "vocab.json");
  } else {
    SetNumbers();
  }
  CheckVocabulary();
}

// Whatever a text is merged to must have a number.
void ClipTokenizer::CheckVocabulary() {
  for (const std::string& byte : Bytes256().in_order) {
    NumberOf(byte);
    NumberOf(byte + std::string(kEndOfWord));
  }
  for (const auto& [first, second] : merges_) NumberOf(first + second);
  start_ = NumberOf(std::string(kStart));
  end_ = NumberOf(std::string(kEnd));
}

void ClipTokenizer::ReadMerges(const fs::path& path, bool published) {
  const std::vector<std::string> lines = LinesOf(TextOf(path));
  // OpenAI's list begins with its own name before that.
  const bool has_header = !lines.empty() && lines[0].find("#version") != std::string::npos;
  for (size_t i = has_header ? 1 : 0; i < lines.size(); ++i) {
    if (merges_.size() == (published ? kPublishedMerges : kMaxTokens)) break;
    const size_t space = lines[i].find(' ');
    const bool two = space != std::string::npos && space > 0 && space + 1 < lines[i].size() &&
                     lines[i].find(' ', space + 1) == std::string::npos && IsUtf8(lines[i]);
    GAS_CHECK(two, Errc::kBadFile, path.string(), ": line ", i + 1, " is ", Quoted(lines[i]),
              ", must be two parts of a word with a space between them");
    merges_.emplace_back(lines[i].substr(0, space), lines[i].substr(space + 1));
    ranks_.emplace(lines[i], static_cast<int64_t>(merges_.size()) - 1);
  }
  GAS_CHECK(!published || merges_.size() == kPublishedMerges, Errc::kBadFile, path.string(), ": ",
            merges_.size(), " merges, must be ", kPublishedMerges, " where no vocab.json lies beside them");
}

void ClipTokenizer::SetNumbers() {
  words_ = Bytes256().in_order;
  for (const std::string& byte : Bytes256().in_order) words_.push_back(byte + std::string(kEndOfWord));
  for (const auto& [first, second] : merges_) words_.push_back(first + second);
  words_.emplace_back(kStart);
  words_.emplace_back(kEnd);
  for (size_t i = 0; i < words_.size(); ++i) numbers_.emplace(words_[i], static_cast<int64_t>(i));
  GAS_CHECK(numbers_.size() == words_.size(), Errc::kBadFile, name_, ": ", words_.size() - numbers_.size(),
            " merges give the same word as others");
}

void ClipTokenizer::ReadNumbers(const fs::path& path) {
  const nlohmann::json json = ReadJsonFile(path, kMaxListBytes);
  GAS_CHECK(json.is_object() && json.size() <= kMaxTokens, Errc::kBadFile, path.string(),
            ": must be an object of at most ", kMaxTokens, " tokens");
  for (const auto& [word, number] : json.items()) {
    const int64_t value = WholeNumber(path.string() + ": " + Quoted(word), number, 0, kMaxTokens - 1);
    numbers_.emplace(word, value);
    if (value >= size()) words_.resize(value + 1);
    words_[value] = word;
  }
}

int64_t ClipTokenizer::NumberOf(const std::string& token) const {
  const auto found = numbers_.find(token);
  GAS_CHECK(found != numbers_.end(), Errc::kBadFile, name_, ": no token ", Quoted(token));
  return found->second;
}

// The pair that was merged first in training is joined wherever it stands, until no pair is in the list.
std::vector<std::string> ClipTokenizer::Merged(std::vector<std::string> parts) const {
  while (parts.size() > 1) {
    auto best = ranks_.end();
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks_.find(Pair(parts[i], parts[i + 1]));
      if (found == ranks_.end()) continue;
      if (best == ranks_.end() || found->second < best->second) best = found;
    }
    if (best == ranks_.end()) break;
    const auto& [first, second] = merges_[best->second];
    std::vector<std::string> joined;
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool here = i + 1 < parts.size() && parts[i] == first && parts[i + 1] == second;
      joined.push_back(here ? first + second : parts[i]);
      if (here) ++i;
    }
    parts = std::move(joined);
  }
  return parts;
}

void ClipTokenizer::AddWord(std::u32string_view word, std::vector<int64_t>& tokens) const {
  const std::string bytes = ToUtf8(word);
  if (bytes == kStart || bytes == kEnd) {
    tokens.push_back(bytes == kStart ? start_ : end_);
    return;
  }
  std::vector<std::string> parts;
  for (const char byte : bytes) parts.push_back(Bytes256().of_byte[static_cast<unsigned char>(byte)]);
  parts.back() += kEndOfWord;
  for (const std::string& part : Merged(std::move(parts))) tokens.push_back(NumberOf(part));
}

std::vector<int64_t> ClipTokenizer::Encode(std::string_view text) const {
  const std::u32string clean = LowerCase(Spaced(CleanedPrompt(FromUtf8("a prompt", text))));
  std::vector<int64_t> tokens;
  for (std::u32string_view rest = clean; !rest.empty();) {
    if (IsSpace(rest[0])) {
      rest.remove_prefix(1);
      continue;
    }
    const size_t length = WordLength(rest);
    AddWord(rest.substr(0, length), tokens);
    rest.remove_prefix(length);
  }
  return tokens;
}

std::string ClipTokenizer::Decode(std::span<const int64_t> tokens) const {
  std::unordered_map<char32_t, char> byte_of;
  for (int byte = 0; byte < 256; ++byte) {
    byte_of[FromUtf8("", Bytes256().of_byte[byte])[0]] = static_cast<char>(byte);
  }
  std::string text;
  for (const int64_t token : tokens) {
    GAS_ASSERT(token >= 0 && token < size());
    std::string word = words_[token];
    const bool ends = word.ends_with(kEndOfWord);
    if (ends) word.resize(word.size() - kEndOfWord.size());
    for (const char32_t c : FromUtf8(name_, word)) text += byte_of.contains(c) ? byte_of[c] : '?';
    if (ends) text += ' ';
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

PromptTokens TokensOf(const ClipTokenizer& tokenizer, std::string_view prompt,
                      const PaddingOptions& options) {
  std::vector<int64_t> text;
  const auto add = [&](std::string_view part) {
    const std::vector<int64_t> tokens = tokenizer.Encode(part);
    text.insert(text.end(), tokens.begin(), tokens.end());
  };
  const std::string& apart = options.padding_text;
  for (size_t at = 0; !apart.empty() && (at = prompt.find(apart)) != prompt.npos;) {
    add(prompt.substr(0, at));
    text.push_back(options.padding);
    prompt.remove_prefix(at + apart.size());
  }
  add(prompt);
  const size_t room = static_cast<size_t>(options.length) - 2;
  const size_t kept = std::min(text.size(), room);
  PromptTokens result{{tokenizer.start()}, tokenizer.Decode(std::span(text).subspan(kept))};
  result.ids.insert(result.ids.end(), text.begin(), text.begin() + static_cast<int64_t>(kept));
  result.ids.push_back(tokenizer.end());
  result.ids.resize(options.length, options.padding);
  return result;
}

}  // namespace gas::text
