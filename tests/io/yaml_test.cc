#include "gas/io/yaml.h"

#include <fstream>

#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using Json = nlohmann::json;

Json Parse(const std::string& text, const YamlLimits& limits = {}) { return ParseYaml("x", text, limits); }

TEST(Yaml, ReadsListsMappingsAndTexts) {
  const char* text =
      "model:\n"
      "  target: ldm.models.diffusion.ddpm.LatentDiffusion  # a comment\n"
      "  params:\n"
      "    channel_mult:\n"
      "    - 1\n"
      "    - 2\n"
      "    attn_resolutions: []\n"
      "    'quoted key': \"a\\tb\"\n"
      "    flow: {a: [x, 'true'], b: }\n"
      "    block: |\n"
      "      two\n"
      "      lines\n"
      "    cond_stage_config: __is_unconditional__\n";
  EXPECT_EQ(Parse(text), Json::parse(R"({"model": {
    "target": "ldm.models.diffusion.ddpm.LatentDiffusion",
    "params": {"channel_mult": [1, 2], "attn_resolutions": [], "quoted key": "a\tb",
               "flow": {"a": ["x", "true"], "b": null}, "block": "two\nlines\n",
               "cond_stage_config": "__is_unconditional__"}}})"));
}

// By kind, as readers of fields ask: 1 is whole, 1.0 is not.
TEST(Yaml, PlainScalarsHaveTheTypesOfTheCoreSchema) {
  const std::pair<const char*, Json> cases[] = {{"1000", int64_t{1000}},
                                                {"-7", int64_t{-7}},
                                                {"+7", int64_t{7}},
                                                {"0", int64_t{0}},
                                                {"0x1F", int64_t{31}},
                                                {"10000000000000", int64_t{10000000000000}},
                                                {"1e-4", 1e-4},
                                                {"1.0e-06", 1e-6},
                                                {"0.0015", 0.0015},
                                                {".5", 0.5},
                                                {"-2.", -2.0},
                                                {"1E+3", 1000.0},
                                                {"+.5e1", 5.0},
                                                {"20000000000000000000", 2e19},
                                                {"true", true},
                                                {"False", false},
                                                {"null", nullptr},
                                                {"~", nullptr},
                                                {"", nullptr}};
  for (const auto& [text, expected] : cases) {
    const Json value = Parse(std::string("a: ") + text)["a"];
    EXPECT_EQ(value.type() == Json::value_t::number_unsigned ? Json::value_t::number_integer : value.type(),
              expected.type())
        << text;
    EXPECT_EQ(value, expected) << text;
  }
}

// Other readers take these for 8, 1000, infinity and true.
TEST(Yaml, WhatVersionsReadDifferentlyStaysAText) {
  for (const char* text : {"010", "1_000", ".inf", ".nan", "yes", "on", "Off", "1:30", "0xZ", "0x", "1e",
                           "e5", ".", "+", "1.2.3", "--1", "__is_unconditional__"}) {
    EXPECT_EQ(Parse(std::string("a: ") + text)["a"], Json(text)) << text;
  }
}

TEST(Yaml, TagsOfTheCoreSchemaSayTheType) {
  EXPECT_EQ(Parse("!!str 1"), Json("1"));
  EXPECT_EQ(Parse("!!float 1"), Json(1.0));
  EXPECT_EQ(Parse("!!map {a: !!seq [!!int 1]}"), Json({{"a", {1}}}));
  EXPECT_ERROR(Parse("a: 1\nb: !!int x"), Errc::kBadFile,
               "x: a value that is not of its tag's type at line 2");
  EXPECT_ERROR(Parse("!!python/object:os.system {}"), Errc::kBadFile, "x: a tag of another type at line 1");
  EXPECT_ERROR(Parse("a: !local 1"), Errc::kBadFile, "a tag of another type");
}

TEST(Yaml, AliasesAreReplacedByWhatTheyStandFor) {
  EXPECT_EQ(Parse("a: &x [1, {b: 2}]\nc: *x\nd: [*x]"),
            Json::parse(R"({"a": [1, {"b": 2}], "c": [1, {"b": 2}],
    "d": [[1, {"b": 2}]]})"));
  EXPECT_ERROR(Parse("a: &x [*x]"), Errc::kBadFile, "x: an alias of what contains it at line 1");
  EXPECT_ERROR(Parse("a: *nobody"), Errc::kBadFile, "x: not YAML at line 1");
}

// "A billion laughs": 9 lines that ask for 10^9 values.
TEST(Yaml, AliasesThatMultiplyAreStopped) {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1), name = "a" + std::to_string(i);
    text += name + ": &" + name + " [" + before;
    for (int k = 0; k < 9; ++k) text += ", " + before;
    text += "]\n";
  }
  EXPECT_ERROR(Parse(text), Errc::kBadFile, "x: more than 65536 values at line 5");
}

TEST(Yaml, ValuesAreCountedOnce) {
  const std::string text = "{a: [1, 2], b: {c: 3}}";  // the root, a list, two numbers, a mapping, a number
  EXPECT_NO_THROW(Parse(text, {.values = 6}));
  EXPECT_ERROR(Parse(text, {.values = 5}), Errc::kBadFile, "x: more than 5 values at line 1");
  EXPECT_NO_THROW(Parse("[&a [1, 2], *a]", {.values = 7}));
  EXPECT_ERROR(Parse("[&a [1, 2], *a]", {.values = 6}), Errc::kBadFile, "more than 6 values");
}

TEST(Yaml, DepthAndSizeAreBounded) {
  EXPECT_NO_THROW(Parse(std::string(64, '[') + std::string(64, ']')));
  EXPECT_ERROR(Parse(std::string(65, '[') + std::string(65, ']')), Errc::kBadFile,
               "x: YAML nested more than 64 deep at line 1");
  // However it is nested: by brackets, indentation, compact lists or keys.
  EXPECT_ERROR(Parse(std::string(1 << 19, '[')), Errc::kBadFile, "x: ");
  std::string steps, dashes, questions;
  for (int i = 0; i < 500; ++i) {
    steps += std::string(i, ' ') + "a:\n";
    dashes += "- ";
    questions += "? ";
  }
  EXPECT_ERROR(Parse(steps), Errc::kBadFile, "nested more than 64 deep at line 65");
  EXPECT_ERROR(Parse(dashes), Errc::kBadFile, "nested more than 64 deep");
  EXPECT_ERROR(Parse(questions), Errc::kBadFile, "a key that is no scalar at line 1");
  EXPECT_ERROR(Parse("a: 123", {.bytes = 5}), Errc::kBadFile, "x: 6 bytes of YAML, at most 5");
}

TEST(Yaml, MistakesAreToldWithTheirLine) {
  EXPECT_ERROR(Parse("a: 1\nb: [1, 2\n"), Errc::kBadFile, "x: not YAML at line 3: ");
  EXPECT_ERROR(Parse("a: 1\n\tb: 2"), Errc::kBadFile, "x: not YAML at line");
  EXPECT_ERROR(Parse("a: 1\nb: 2\na: 3"), Errc::kBadFile, "x: the key \"a\" for the second time at line 3");
  EXPECT_ERROR(Parse("[1, 2]: 3"), Errc::kBadFile, "x: a key that is no scalar at line 1");
  EXPECT_ERROR(Parse("b: &b {c: 1}\na:\n  <<: *b"), Errc::kBadFile, "x: a merge key");
  EXPECT_ERROR(Parse("a: 1\n---\nb: 2"), Errc::kBadFile, "x: a second document at line");
  EXPECT_ERROR(Parse("a: 1e999"), Errc::kBadFile, "x: a number beyond the range of double at line 1");
  EXPECT_ERROR(Parse(""), Errc::kBadFile, "x: YAML without a value");
  EXPECT_ERROR(Parse("a: \xff"), Errc::kBadFile, "x: YAML that is not UTF-8");
}

TEST(Yaml, OfAFile) {
  const testing::TempFolder folder("yaml");
  const auto path = folder.path() / "config.yaml";
  std::ofstream(path) << "a: 1\n";
  EXPECT_EQ(ReadYaml(path), Json({{"a", 1}}));
  EXPECT_ERROR(ReadYaml(path, {.bytes = 4}), Errc::kBadFile, path.string());
  EXPECT_ERROR(ReadYaml(folder.path() / "none.yaml"), Errc::kBadFile, "none.yaml");
}

}  // namespace
}  // namespace gas
