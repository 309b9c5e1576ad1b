#include "gas/io/json.h"

#include "support/expect.h"

namespace gas {
namespace {

std::string Nested(int depth, const char* open, const char* close) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += open;
  for (int i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(Json, ReadsWhatTheLimitsAllow) {
  EXPECT_EQ(ParseJson("x", R"({"a": {"b": true}, "b": {"b": 1}})"),
            nlohmann::json({{"a", {{"b", true}}}, {"b", {{"b", 1}}}}));
  EXPECT_NO_THROW(ParseJson("x", Nested(64, "[", "]")));
  EXPECT_NO_THROW(ParseJson("x", "[1]", {.bytes = 3}));
}

TEST(Json, DepthIsBoundedForListsAndObjects) {
  EXPECT_ERROR(ParseJson("x", Nested(65, "[", "]")), Errc::kBadFile, "x: JSON nested more than 64 deep");
  EXPECT_ERROR(ParseJson("x", Nested(65, R"({"a":)", "}")), Errc::kBadFile, "nested more than 64 deep");
  EXPECT_ERROR(ParseJson("x", "[[]]", {.depth = 1}), Errc::kBadFile, "nested more than 1 deep");
  // Refused at its 65th bracket: neither the text that follows nor its missing end is looked at.
  EXPECT_ERROR(ParseJson("x", std::string(1 << 20, '[')), Errc::kBadFile, "nested more than 64 deep");
  EXPECT_FALSE(ParseJsonOrNone(std::string(1 << 20, '[')).has_value());
}

TEST(Json, MessagesAreShortAndHaveNothingOfTheText) {
  const std::string secret(10000, 's');
  for (const std::string& text : {secret, "[1, " + secret, '"' + secret, "{\"" + secret + "\": \xff}",
                                  std::string("1e999"), std::string(), std::string("[1] 2")}) {
    try {
      ParseJson("name", text);
      ADD_FAILURE() << text.substr(0, 20) << " was read";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Errc::kBadFile);
      EXPECT_LT(std::string_view(e.what()).size(), 200u);
      EXPECT_EQ(std::string_view(e.what()).find("sss"), std::string_view::npos) << e.what();
    }
  }
  EXPECT_ERROR(ParseJson("name", "[1, x]"), Errc::kBadFile, "name: not JSON at byte 5");
  EXPECT_ERROR(ParseJson("name", "[1]", {.bytes = 2}), Errc::kBadFile, "name: 3 bytes of JSON, at most 2");
}

TEST(Json, AKeyTwiceInAnObjectIsRefused) {
  EXPECT_ERROR(ParseJson("x", R"({"a": 1, "b": [{"c": 1}, {"c": 2}], "a": 2})"), Errc::kBadFile,
               R"(x: the key "a" appears twice in an object)");
  EXPECT_ERROR(ParseJson("x", R"([{"a": {"c": 1, "c": 1}}])"), Errc::kBadFile, R"("c" appears twice)");
}

TEST(Json, NumbersAreOfTheKindThatIsAskedFor) {
  using nlohmann::json;
  EXPECT_EQ(WholeNumber("nfe", json(7)), 7);
  EXPECT_EQ(WholeNumber("nfe", json(int64_t{1} << 40)), int64_t{1} << 40);
  for (const json& other : {json(1.9), json(true), json("1"), json(nullptr), json(UINT64_MAX)}) {
    EXPECT_ERROR(WholeNumber("nfe", other), Errc::kBadFile,
                 "nfe = " + other.dump() + ", must be a whole number");
  }
  EXPECT_ERROR(WholeNumber("nfe", json(9), 1, 8), Errc::kBadFile,
               "nfe = 9, must be a whole number in [1, 8]");
  EXPECT_EQ(RealNumber("x", json(2)), 2.0);
  EXPECT_ERROR(RealNumber("x", json(true)), Errc::kBadFile, "x = true, must be a number");
  EXPECT_ERROR(TruthValue("x", json(1)), Errc::kBadFile, "x = 1, must be true or false");
  std::vector<int64_t> list = {9, 9, 9};
  ReadField("x", json({1, 2}), list);
  EXPECT_EQ(list, (std::vector<int64_t>{1, 2}));
  EXPECT_ERROR((ReadField("x", json({1, 2.5}), list), 0), Errc::kBadFile, "x = 2.5, must be a whole number");
  EXPECT_ERROR((ReadField("x", json(1), list), 0), Errc::kBadFile, "x = 1, must be a list");
}

TEST(Json, NoneForTextThatIsNotJson) {
  EXPECT_FALSE(ParseJsonOrNone("Loading weights").has_value());
  EXPECT_EQ(ParseJsonOrNone("{}").value(), nlohmann::json::object());
  EXPECT_TRUE(ParseJsonOrNone("null").has_value());
}

}  // namespace
}  // namespace gas
