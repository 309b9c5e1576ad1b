// CLIP's tokenizer against OpenAI's and Hugging Face's.
#include "gas/models/text/clip_tokenizer.h"

#include "gas/io/file.h"
#include "gas/models/text/prompt_cleaning.h"
#include "gas/models/text/unicode.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/temp_folder.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::Fixture;
using testing::FixtureFolder;
using testing::TempFolder;
using testing::ThirdPartyFile;
using text::ClipTokenizer;
using text::PaddingOptions;
using text::PromptTokens;
using Json = nlohmann::json;

constexpr const char* kClipVocabulary = "bpe_simple_vocab_16e6.txt.gz";

Json JsonOf(const std::filesystem::path& path) {
  const Bytes bytes = ReadFile(path);
  return Json::parse(bytes.begin(), bytes.end());
}

TEST(ClipTokenizer, CaptionsAndDifficultTextsAreOpenAis) {
  const auto vocabulary = ThirdPartyFile(kClipVocabulary);
  SKIP_WITHOUT_FILE(vocabulary, kClipVocabulary);
  const ClipTokenizer tokenizer(*vocabulary);
  EXPECT_EQ(tokenizer.size(), 49408);
  EXPECT_EQ(tokenizer.start(), 49406);
  EXPECT_EQ(tokenizer.end(), 49407);
  const Json fixture = JsonOf(FixtureFolder() / "clip_tokenizer.json");
  int64_t count = 0;
  for (const char* list : {"captions", "extra"}) {
    for (const Json& line : fixture.at(list)) {
      // Text that was read in a wrong encoding is repaired there, not here.
      if (line.at("text") == "sch\xC3\x83\xC2\xB6n") continue;
      EXPECT_EQ(tokenizer.Encode(line.at("text").get<std::string>()),
                line.at("ids").get<std::vector<int64_t>>())
          << line.at("text");
      ++count;
    }
  }
  EXPECT_GE(count, 100);
}

// The rows of ids that a fixture has for its prompts.
void CheckRows(const ClipTokenizer& tokenizer, const Fixture& fixture, const std::string& tensor,
               const PaddingOptions& options) {
  SCOPED_TRACE(tensor);
  const Tensor& ids = fixture.at(tensor);
  const Json& prompts = fixture.json().at("prompts");
  ASSERT_EQ(ids.size(0), static_cast<int64_t>(prompts.size()));
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const PromptTokens tokens = TokensOf(tokenizer, prompts[i].get<std::string>(), options);
    EXPECT_TRUE(torch::tensor(tokens.ids).equal(ids[i])) << prompts[i];
  }
}

// Each version fills up with another token, and for Hugging Face's a special token is one inside prompts too.
TEST(ClipTokenizer, PromptsOfEveryVersionAreTheReferences) {
  const auto vocabulary = ThirdPartyFile(kClipVocabulary);
  SKIP_WITHOUT_FILE(vocabulary, kClipVocabulary);
  const ClipTokenizer tokenizer(*vocabulary);
  const PaddingOptions with_end{.padding = tokenizer.end(), .padding_text = "<|endoftext|>"};
  const PaddingOptions with_zero{.padding = 0}, with_mark{.padding = 0, .padding_text = "!"};
  const Fixture sd1("sd1");
  CheckRows(tokenizer, sd1, "input_ids", with_end);
  CheckRows(tokenizer, sd1, "clip_tokenize", with_zero);
  if (const auto file = ThirdPartyFile("sd2.json")) {
    const Fixture sd2((file->parent_path() / "sd2").string());
    CheckRows(tokenizer, sd2, "input_ids", with_mark);
    CheckRows(tokenizer, sd2, "input_ids.open_clip", with_zero);
  }
  if (const auto file = ThirdPartyFile("sdxl.json")) {
    const Fixture xl((file->parent_path() / "sdxl").string());
    CheckRows(tokenizer, xl, "input_ids", with_end);
    CheckRows(tokenizer, xl, "input_ids_2", with_mark);
    CheckRows(tokenizer, xl, "input_ids_2.open_clip", with_zero);
  }
}

// A vocabulary of bytes and ten merges.
class SmallTokenizer : public ::testing::Test {
 protected:
  ClipTokenizer Own() { return ClipTokenizer(testing::OwnFixture("clip_tokenizer_small")); }
  std::filesystem::path WriteMerges(const std::string& text) {
    const auto path = folder_.path() / "merges.txt";
    WriteFile(path, text);
    return path;
  }
  TempFolder folder_{"tokenizer"};
};

TEST_F(SmallTokenizer, MergesInTheOrderOfTheList) {
  const ClipTokenizer tokenizer = Own();
  const auto number = [&](const char* token) { return tokenizer.NumberOf(token); };
  EXPECT_EQ(tokenizer.Encode(" The  RED cat\tand\n the dog "),
            (std::vector<int64_t>{number("the</w>"), number("red</w>"), number("cat</w>"), number("and</w>"),
                                  number("the</w>"), number("dog</w>")}));
  EXPECT_EQ(tokenizer.Encode("than"),
            (std::vector<int64_t>{number("th"), number("a"), number("n</w>")}));  // "an" is not at an end
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("The red caf\xC3\xA9")), "the red caf\xC3\xA9");
  EXPECT_ERROR(tokenizer.Encode("\xFF"), Errc::kBadOption, "a prompt is not UTF-8");
}

TEST_F(SmallTokenizer, LongPromptsAreCutAndWhatIsCutIsSaid) {
  const ClipTokenizer tokenizer = Own();
  const PromptTokens whole = TokensOf(tokenizer, "the cat", {.length = 5, .padding = 7});
  EXPECT_EQ(whole.ids, (std::vector<int64_t>{tokenizer.start(), tokenizer.NumberOf("the</w>"),
                                             tokenizer.NumberOf("cat</w>"), tokenizer.end(), 7}));
  EXPECT_EQ(whole.cut, "");
  const PromptTokens cut = TokensOf(tokenizer, "the cat and the dog", {.length = 4, .padding = 7});
  EXPECT_EQ(cut.ids.size(), 4u);
  EXPECT_EQ(cut.ids.back(), tokenizer.end());
  EXPECT_EQ(cut.cut, "and the dog");
}

TEST_F(SmallTokenizer, DamagedListsAreNamedWithTheirLine) {
  EXPECT_ERROR(ClipTokenizer(WriteMerges("#version: 0.2\na b\nabc\n")), Errc::kBadFile,
               "merges.txt: line 3 is \"abc\", must be two parts of a word with a space between them");
  EXPECT_ERROR(ClipTokenizer(WriteMerges("a b\na b c\n")), Errc::kBadFile, "line 2 is \"a b c\"");
  EXPECT_ERROR(ClipTokenizer(WriteMerges("a b\n")), Errc::kBadFile,
               "merges.txt: 1 merges, must be 48894 where no vocab.json lies beside them");
  EXPECT_ERROR(ClipTokenizer(WriteMerges(std::string("\x1f\x8b", 2) + std::string(20, '\x7f'))),
               Errc::kBadFile, "merges.txt");
  EXPECT_ERROR(ClipTokenizer(folder_.path() / "none"), Errc::kBadFile, "none");
  std::filesystem::remove(folder_.path() / "merges.txt");
  EXPECT_ERROR(ClipTokenizer(folder_.path()), Errc::kBadFile, "no merges.txt there");
}

TEST_F(SmallTokenizer, AVocabularyMustHaveWhatMergesGive) {
  Json vocabulary = JsonOf(testing::OwnFixture("clip_tokenizer_small") / "vocab.json");
  const auto open = [&](const Json& json, const std::string& merges) {
    WriteMerges(merges);
    WriteFile(folder_.path() / "vocab.json", json.dump());
    return ClipTokenizer(folder_.path());
  };
  EXPECT_ERROR(open(vocabulary, "q q\n"), Errc::kBadFile, "no token \"qq\"");
  vocabulary["the</w>"] = -1;
  EXPECT_ERROR(open(vocabulary, "t h\n"), Errc::kBadFile, "\"the</w>\" = -1, must be a whole number in [0,");
  vocabulary.erase("the</w>");
  vocabulary.erase("<|endoftext|>");
  EXPECT_ERROR(open(vocabulary, "t h\n"), Errc::kBadFile, "no token \"<|endoftext|>\"");
  EXPECT_ERROR(open(Json::array(), "t h\n"), Errc::kBadFile, "vocab.json: must be an object");
}

TEST(PromptCleaning, EntitiesLigaturesAndWideLettersArePlain) {
  const auto cleaned = [](const char* prompt) {
    return text::ToUtf8(text::CleanedPrompt(text::FromUtf8("x", prompt)));
  };
  EXPECT_EQ(cleaned("a &amp; b &lt;c&gt; &eacute; &#955;&#x3bb;"), "a & b <c> \xC3\xA9 \xCE\xBB\xCE\xBB");
  EXPECT_EQ(cleaned("&amp;amp;quot;"), "\"");
  // What is no reference to a character stays.
  for (const char* text :
       {"&", "&;", "&#;", "&#x;", "&nosuch;", "a&b; c", "&#0;", "&#xD800;", "&#x110000;", "&#12345678901;"})
    EXPECT_EQ(cleaned(text), text);
  EXPECT_EQ(cleaned("\xEF\xAC\x81ne \xEF\xBC\xA6\xEF\xBD\x95ll \xE2\x80\x9Cq\xE2\x80\x9D"),
            "fine Full \"q\"");
  EXPECT_EQ(cleaned("a\x01\x7F"
                    "b\xEF\xBB\xBF"),
            "ab");
}

TEST(Unicode, AccentsThatFollowAreComposed) {
  const auto composed = [](std::u32string_view text) { return text::Composed(text); };
  EXPECT_EQ(composed(U"e\u0301"), U"\u00E9");
  EXPECT_EQ(composed(U"a\u0308\u0323"), U"\u1EA1\u0308");             // marks are sorted first
  EXPECT_EQ(composed(U"\u00E4\u0323"), U"\u1EA1\u0308");              // and what is composed is taken apart
  EXPECT_EQ(composed(U"o\u0302\u0301"), U"\u1ED1");                   // twice
  EXPECT_EQ(composed(U"a\u0305\u0301"), U"a\u0305\u0301");            // an equal class between them
  EXPECT_EQ(composed(U"\u212B\u2126"), U"\u00C5\u03A9");              // signs that are letters
  EXPECT_EQ(composed(U"\u0958"), U"\u0915\u093C");                    // never composed
  EXPECT_EQ(composed(U"\u1112\u1161\u11AB\u1100"), U"\uD55C\u1100");  // Hangul
  EXPECT_EQ(composed(U"\uD55C"), U"\uD55C");
  EXPECT_EQ(composed(U"\u0301e"), U"\u0301e");  // a mark before any letter
  EXPECT_EQ(composed(U""), U"");
}

TEST(Unicode, LowerCaseHasItsSpecialCases) {
  const auto lower = [](const char* text) {
    return text::ToUtf8(text::LowerCase(text::FromUtf8("x", text)));
  };
  EXPECT_EQ(lower("ABC xyz \xC3\x89\xC3\x96"), "abc xyz \xC3\xA9\xC3\xB6");
  EXPECT_EQ(lower("\xC4\xB0"), "i\xCC\x87");  // I with a dot
  EXPECT_EQ(lower("\xCE\x9F\xCE\xA3 \xCE\xA3\xCE\x9F"),
            "\xCE\xBF\xCF\x82 \xCF\x83\xCE\xBF");                            // sigma at an end
  EXPECT_EQ(lower("\xC7\x8D\xC7\x8E\xC7\x8F"), "\xC7\x8E\xC7\x8E\xC7\x90");  // every other one
  EXPECT_TRUE(text::IsLetter(U'\x6771') && text::IsNumber(U'\xBD') && text::IsSpace(U'\x3000'));
  EXPECT_FALSE(text::IsLetter(U'_') || text::IsNumber(U'a') || text::IsSpace(U'\x200B'));
}

}  // namespace
}  // namespace gas
