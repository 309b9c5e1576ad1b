#include "gas/io/pickle.h"

#include <cmath>
#include <limits>

#include "gas/io/file.h"
#include "gas/io/pickle_fields.h"
#include "io/valid_files.h"
#include "support/expect.h"
#include "support/formats.h"

namespace gas {
namespace {

using testing::Builder;
using testing::PickledDict;
using testing::PickledText;
using namespace std::string_literals;

constexpr UnknownClasses kBoth[] = {UnknownClasses::kRefuse, UnknownClasses::kKeep};

// The pickle's bytes stay as long as it.
struct Parsed {
  explicit Parsed(std::string text, UnknownClasses unknown = UnknownClasses::kRefuse)
      : bytes(std::move(text)), pickle(ParsePickle("p", bytes, {.unknown_classes = unknown})) {}

  const PickleValue& root() const { return *pickle.root; }

  std::string bytes;
  Pickle pickle;
};

std::string FixtureBytes(const std::string& name) {
  const Bytes bytes = ReadFile(testing::SourceFixtureFolder() / "pickles" / name);
  return {bytes.begin(), bytes.end()};
}

template <class T>
const T& As(PickleRef value) {
  EXPECT_NE(value, nullptr);
  const T* content = value->If<T>();
  GAS_CHECK(content != nullptr, Errc::kInternal, "a value of kind ", value->content.index());
  return *content;
}

const PickleDict& RootDict(const Parsed& parsed) { return As<PickleDict>(&parsed.root()); }

std::string BytesAt(const PickleDict& dict, const char* key) {
  const auto bytes = As<PickleBytes>(ValueOf(dict, key)).bytes;
  return {bytes.begin(), bytes.end()};
}

std::vector<int64_t> Integers(PickleRef value) { return IntegersOf("p", *value, "a test"); }

TEST(Pickle, ReadsNumbersAndTextsOfEveryProtocol) {
  for (const char protocol : "012345"s) {
    SCOPED_TRACE(protocol);
    const Parsed parsed(FixtureBytes("values_"s + protocol + ".pkl"));
    const PickleDict& dict = RootDict(parsed);
    EXPECT_NE(ValueOf(dict, "none")->If<PickleNone>(), nullptr);
    EXPECT_TRUE(As<bool>(ValueOf(dict, "true")));
    EXPECT_FALSE(As<bool>(ValueOf(dict, "false")));
    EXPECT_EQ(As<int64_t>(ValueOf(dict, "int")), -5);
    EXPECT_EQ(As<int64_t>(ValueOf(dict, "byte")), 200);
    EXPECT_EQ(As<int64_t>(ValueOf(dict, "short")), 40000);
    EXPECT_EQ(As<int64_t>(ValueOf(dict, "long")), int64_t{1} << 40);
    EXPECT_EQ(As<double>(ValueOf(dict, "float")), 0.1);
    EXPECT_EQ(As<double>(ValueOf(dict, "infinity")), std::numeric_limits<double>::infinity());
    EXPECT_EQ(As<std::string>(ValueOf(dict, "text")), "n\xc3\xa9\n'\"\\ \xe4\xbd\xa0 \xf0\x9f\x98\x80");
    EXPECT_EQ(As<std::string>(ValueOf(dict, "long text")).size(), 400);
    EXPECT_EQ(BytesAt(dict, "bytes"), "\x00\xff\n'\xe9"s);
    EXPECT_EQ(BytesAt(dict, "bytearray"), "\x01\xfe"s);
  }
}

TEST(Pickle, ReadsContainersOfEveryProtocol) {
  for (const char protocol : "012345"s) {
    SCOPED_TRACE(protocol);
    const Parsed parsed(FixtureBytes("values_"s + protocol + ".pkl"));
    const PickleDict& dict = RootDict(parsed);
    const auto& list = As<PickleSequence>(ValueOf(dict, "list"));
    EXPECT_EQ(list.kind, PickleSequence::Kind::kList);
    EXPECT_EQ(As<int64_t>(list.items.at(0)), 1);
    EXPECT_EQ(Integers(list.items.at(1)), std::vector<int64_t>{2});
    EXPECT_EQ(ValueOf(dict, "again"), ValueOf(dict, "list"));
    EXPECT_EQ(As<PickleSequence>(ValueOf(dict, "empty")).kind, PickleSequence::Kind::kTuple);
    EXPECT_TRUE(Integers(ValueOf(dict, "empty")).empty());
    EXPECT_EQ(Integers(ValueOf(dict, "one")), (std::vector<int64_t>{1}));
    EXPECT_EQ(Integers(ValueOf(dict, "two")), (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(Integers(ValueOf(dict, "three")), (std::vector<int64_t>{1, 2, 3}));
    EXPECT_EQ(Integers(ValueOf(dict, "four")), (std::vector<int64_t>{1, 2, 3, 4}));
    EXPECT_TRUE(As<PickleDict>(ValueOf(dict, "dict")).items.empty());
    const auto& keys = As<PickleDict>(ValueOf(dict, "keys"));
    EXPECT_EQ(As<int64_t>(keys.items.at(0).first), 1);
    EXPECT_EQ(Integers(keys.items.at(1).first), (std::vector<int64_t>{2, 3}));
    for (const auto& [name, member] : {std::pair{"set", 7}, std::pair{"frozenset", 8}}) {
      EXPECT_EQ(As<PickleSequence>(ValueOf(dict, name)).kind, PickleSequence::Kind::kSet);
      EXPECT_EQ(Integers(ValueOf(dict, name)), std::vector<int64_t>{member});
    }
    const auto& ordered = As<PickleDict>(ValueOf(dict, "ordered"));
    EXPECT_EQ(As<std::string>(ordered.items.at(0).first), "b");
    EXPECT_EQ(As<std::string>(ordered.items.at(1).first), "a");
    EXPECT_EQ(Integers(ValueOf(As<PickleDict>(ValueOf(dict, "default")), "a")), std::vector<int64_t>{1});
    EXPECT_EQ(As<PickleGlobal>(ValueOf(dict, "class")).FullName(), "collections.OrderedDict");
  }
}

TEST(Pickle, KeepsTheBytesOfLargeIntegers) {
  const Parsed parsed(FixtureBytes("values_2.pkl"));
  const auto& huge = As<PickleBigInt>(ValueOf(RootDict(parsed), "huge")).little_endian;
  EXPECT_EQ(std::string(huge.begin(), huge.end()), "\0\0\0\0\0\0\0\0\x40"s);
  EXPECT_EQ(As<int64_t>(&Parsed("\x8a\x01\xff."s).root()), -1);
  EXPECT_EQ(As<int64_t>(&Parsed("\x8a\0."s).root()), 0);
  EXPECT_ERROR(Parsed("L9223372036854775808L\n."), Errc::kBadFile, "at most 64 bits");
}

TEST(Pickle, BuildGivesAnOrderedDictItsState) {
  const Parsed parsed("ccollections\nOrderedDict\n)R" + PickledText("k") + "K\1s" + "}" +
                      PickledText("_metadata") + "Nsb.");
  const PickleDict& dict = RootDict(parsed);
  EXPECT_EQ(dict.items.size(), 1);
  EXPECT_NE(ValueOf(As<PickleDict>(dict.state), "_metadata"), nullptr);
}

TEST(Pickle, NamesAloneDoNothing) {
  EXPECT_EQ(As<PickleGlobal>(&Parsed("cos\nsystem\n.").root()).FullName(), "os.system");
  EXPECT_EQ(As<PickleGlobal>(&Parsed(PickledText("os") + PickledText("system") + "\x93.").root()).FullName(),
            "os.system");
}

struct Hostile {
  std::string bytes;
  const char* symbol;
  const char* call;  // the last occurrence of this begins with the opcode
};

// Every way in which a pickle can ask Python for a call.
TEST(Pickle, RefusesCallsWithNameAndOffset) {
  const Hostile files[] = {
      {"cos\nsystem\n(S'id'\ntR.", "\"os.system\"", "R."},
      {PickledText("builtins") + PickledText("eval") + "\x93" + PickledText("1") + "\x85R.",
       "\"builtins.eval\"", "R."},
      {"c__builtin__\neval\n(S'1'\ntR.", "\"__builtin__.eval\"", "R."},
      {"(S'id'\nios\nsystem\n.", "\"os.system\"", "ios"},
      {"(cos\nsystem\nS'id'\no.", "\"os.system\"", "o."},
      {"cbuiltins\ngetattr\n(cos\npath\nS'x'\ntR.", "\"builtins.getattr\"", "R."},
      {"]cnumpy.core.multiarray\n_reconstruct\n)Ra.", "\"numpy.core.multiarray._reconstruct\"", "Ra."},
      {"ctorch.storage\n_load_from_bytes\n(B\0\0\0\0tR."s, "\"torch.storage._load_from_bytes\"", "R."},
      {"ccollections\nOrderedDict\n(cos\nsystem\n)RtR.", "\"os.system\"", "RtR."},
  };
  for (const UnknownClasses unknown : kBoth) {
    for (const Hostile& file : files) {
      SCOPED_TRACE(file.bytes);
      const std::string place = "p @" + std::to_string(file.bytes.rfind(file.call)) + ": it calls ";
      EXPECT_ERROR(Parsed(file.bytes, unknown), Errc::kBadFile, place + file.symbol);
    }
  }
}

TEST(Pickle, RefusesCallsOfWhatACallWouldGive) {
  EXPECT_ERROR(Parsed("}(K\1tR."), Errc::kBadFile, "p @5: a call of something that is not the name");
  EXPECT_ERROR(Parsed("cos\nsystem\nK\1R."), Errc::kBadFile, "arguments that are not a tuple");
  EXPECT_ERROR(Parsed("cos\nsystem\n}b."), Errc::kBadFile, "a state to something that has none");
  EXPECT_ERROR(Parsed("cos\nsystem\n](K\1ea."), Errc::kBadFile, "not a list");
  EXPECT_ERROR(Parsed("cos\nsystem\n)}\x92}(K\1K\2ub}b.", UnknownClasses::kKeep), Errc::kBadFile, "twice");
  EXPECT_ERROR(Parsed("cos\nsystem\n)}(K\1K\2u\x92.", UnknownClasses::kKeep), Errc::kBadFile, "keyword");
}

TEST(Pickle, MessagesHoldNothingThatATerminalObeys) {
  EXPECT_ERROR(Parsed("co\x1b[31m\nsystem\n)R."), Errc::kBadFile, "\"o\\u001b[31m.system\"");
}

TEST(Pickle, KeepsObjectsOfUnknownClassesIfAllowed) {
  const std::string state = "}" + PickledText("w") + "K\7sb";
  const std::string in_2 = "cm\nNet\n)\x81" + state + ".",
                    in_0 = "ccopy_reg\n_reconstructor\n(cm\nNet\nc__builtin__\nobject\nNtR" + state + ".";
  for (const std::string& file : {in_2, in_0}) {
    EXPECT_ERROR(Parsed(file), Errc::kBadFile, "an object of the class \"m.Net\"");
    const Parsed parsed(file, UnknownClasses::kKeep);
    const auto& object = As<PickleObject>(&parsed.root());
    EXPECT_EQ(object.constructor->FullName(), "m.Net");
    EXPECT_EQ(As<int64_t>(ValueOf(As<PickleDict>(object.state), "w")), 7);
  }
  const Parsed filled("cm\nD\n)\x81" + PickledText("k") + "K\1s(K\2e.", UnknownClasses::kKeep);
  const auto& object = As<PickleObject>(&filled.root());
  EXPECT_EQ(object.entries.size(), 1);
  EXPECT_EQ(object.items.size(), 1);
}

TEST(Pickle, AllowedCallsAreKeptWithTheirArguments) {
  constexpr std::string_view kAllowed[] = {"m.make"};
  const std::string file = "cm\nmake\n(K\5tR}b.";
  const Pickle pickle = ParsePickle("p", file, {.constructors = kAllowed});
  const auto& call = As<PickleObject>(pickle.root);
  EXPECT_EQ(Integers(call.args), std::vector<int64_t>{5});
  EXPECT_NE(call.state, nullptr);
}

TEST(Pickle, PersistentIdsAreValues) {
  EXPECT_EQ(As<std::string>(As<PicklePersistentId>(&Parsed("Pab\n.").root()).id), "ab");
  EXPECT_EQ(As<int64_t>(As<PicklePersistentId>(&Parsed("K\5Q.").root()).id), 5);
}

TEST(Pickle, TellsWhereItEnds) {
  const Parsed parsed("K\5.K\6.");
  EXPECT_EQ(parsed.pickle.size, 3);
}

TEST(Pickle, RefusesWhatItsOpcodesDoNotSay) {
  EXPECT_ERROR(Parsed("\x82\1."), Errc::kBadFile, "p @0: an extension code");
  EXPECT_ERROR(Parsed("\x83\1\1."), Errc::kBadFile, "an extension code");
  EXPECT_ERROR(Parsed("\x84\1\1\1\1."), Errc::kBadFile, "an extension code");
  EXPECT_ERROR(Parsed("\x97."), Errc::kBadFile, "a buffer outside");
  EXPECT_ERROR(Parsed("N\x98."), Errc::kBadFile, "a buffer outside");
  EXPECT_ERROR(Parsed("\xff."), Errc::kBadFile, "p @0: the opcode 255");
  EXPECT_ERROR(Parsed("\x80\6N."), Errc::kBadFile, "protocol 6");
  EXPECT_ERROR(Parsed("h\1."), Errc::kBadFile, "the memo 1");
  EXPECT_ERROR(Parsed("Nt."), Errc::kBadFile, "a mark is missing");
  EXPECT_ERROR(Parsed("\x86."), Errc::kBadFile, "a value is missing");
  EXPECT_ERROR(Parsed("N(0\x85\x85\x86."), Errc::kBadFile, "p @5: a value is missing");
  EXPECT_ERROR(Parsed("N(a."), Errc::kBadFile, "a value is missing");
  EXPECT_ERROR(Parsed("NN."), Errc::kBadFile, "left over");
  EXPECT_ERROR(Parsed("}(Nu."), Errc::kBadFile, "a key without its value");
  EXPECT_ERROR(Parsed("Nh"), Errc::kBadFile, "needs 1 bytes");
  EXPECT_ERROR(Parsed(""), Errc::kBadFile, "needs 1 bytes");
  EXPECT_ERROR(Parsed("S'a\n."), Errc::kBadFile, "not a quoted string");
  EXPECT_ERROR(Parsed("S'\\xg0'\n."), Errc::kBadFile, "not a quoted string");
  EXPECT_ERROR(Parsed("V\\uD8\n."), Errc::kBadFile, "a damaged escape");
  EXPECT_ERROR(Parsed("I1x\n."), Errc::kBadFile, "not a decimal integer");
  EXPECT_ERROR(Parsed("Fx\n."), Errc::kBadFile, "not a number");
  EXPECT_ERROR(Parsed("I1"), Errc::kBadFile, "does not end");
}

TEST(Pickle, ChecksSizesBeforeItAllocates) {
  const uint64_t huge = uint64_t{1} << 63;
  for (const char op : {'\x8d', '\x8e', '\x96', '\x95'}) {
    const Builder file = Builder().U8(static_cast<uint8_t>(op)).U64(huge).Text(".");
    EXPECT_ERROR(Parsed(file.str()), Errc::kBadFile, "9223372036854775808 bytes");
  }
  EXPECT_ERROR(Parsed(Builder().Text("B").U32(0xFFFFFFFF).str()), Errc::kBadFile, "needs 4294967295 bytes");
  for (const char op : {'T', '\x8b'}) {
    const Builder file = Builder().U8(static_cast<uint8_t>(op)).Put(int32_t{-1}).Text(".");
    EXPECT_ERROR(Parsed(file.str()), Errc::kBadFile, "a length of -1");
  }
}

std::string NestedLists(size_t depth) { return std::string(depth, ']') + std::string(depth - 1, 'a') + "."; }

TEST(Pickle, BoundsTheDepthOfValues) {
  EXPECT_NO_THROW(Parsed(NestedLists(kMaxPickleDepth)));
  EXPECT_ERROR(Parsed(NestedLists(kMaxPickleDepth + 1)), Errc::kBadFile, "nested more than 200 deep");
  EXPECT_ERROR(Parsed(NestedLists(500'000)), Errc::kBadFile, "nested more than 200 deep");
  // A list that is deep enough on its own, and is then put into more of them where it stands already.
  const std::string shared = "](]q\0"s + std::string(149, ']') + std::string(149, 'a') +
                             std::string(60, ']') + "h\0"s + std::string(60, 'a') + "e.";
  EXPECT_ERROR(Parsed(shared), Errc::kBadFile, "nested more than 200 deep");
}

TEST(Pickle, SharedValuesAreNotUnfolded) {
  std::string file = "]q\0"s;  // 2^150 values, if each place counted
  for (int i = 0; i < 150; ++i) file += "0(h\0h\0lq\0"s;
  const Parsed parsed(file + ".");
  EXPECT_EQ(parsed.pickle.values.size(), 151);
}

TEST(Pickle, RefusesValuesThatContainThemselves) {
  EXPECT_ERROR(Parsed("]q\0h\0a."s), Errc::kBadFile, "contains itself");
  EXPECT_ERROR(Parsed("}q\0K\1h\0s."s), Errc::kBadFile, "contains itself");
  EXPECT_ERROR(Parsed("]q\0h\0\x85"
                      "a."s),
               Errc::kBadFile, "contains itself");
  EXPECT_ERROR(Parsed("ccollections\nOrderedDict\n)Rq\0h\0b."s), Errc::kBadFile, "contains itself");
}

TEST(Pickle, BoundsItsWork) {
  EXPECT_ERROR(Parsed(std::string(kMaxPickleValues + 1, 'N')), Errc::kBadFile, "more than 2097152 values");
  std::string marks;
  for (uint64_t i = 0; i < kMaxPickleSteps / 2 + 1; ++i) marks += "(0";
  EXPECT_ERROR(Parsed(marks), Errc::kBadFile, "more than 8388608 steps");
  // A set of a list copies it.
  std::string sets = "](" + std::string(100'000, 'N') + "eq\0c__builtin__\nset\nq\1"s;
  for (int i = 0; i < 200; ++i) sets += "h\1h\0\x85R0"s;
  EXPECT_ERROR(Parsed(sets), Errc::kBadFile, "more than 8388608 steps");
}

TEST(Pickle, BoundsTheTextsThatItMakes) {
  const std::string text = PickledText(std::string(1 << 20, 'x')) + "q\0"s;
  std::string names = text, encoded = text + "c_codecs\nencode\nq\1h\0"s + PickledText("latin1") + "\x86q\2";
  for (int i = 0; i < 30; ++i) {
    names +=
        "h\0h\0\x93"
        "0"s;
    encoded += "h\1h\2R0"s;
  }
  EXPECT_ERROR(Parsed(names), Errc::kBadFile, "texts repeat each other");
  EXPECT_ERROR(Parsed(encoded), Errc::kBadFile, "texts repeat each other");
}

TEST(Pickle, RefusesEqualKeys) {
  EXPECT_ERROR(Parsed("}(" + PickledText("a") + "N" + PickledText("a") + "Nu."), Errc::kBadFile,
               "the key \"a\" twice");
  EXPECT_ERROR(Parsed("}K\1NsK\1Ns."), Errc::kBadFile, "the key 1 twice");
  EXPECT_ERROR(Parsed("}]Ns."), Errc::kBadFile, "is the key of a dictionary");
  EXPECT_ERROR(Parsed("}" + PickledText(std::string(4097, 'x')) + "Ns."), Errc::kBadFile,
               "key of 4097 bytes");
}

void ParseDamaged(const std::string& bytes) {
  try {
    Parsed(bytes, UnknownClasses::kKeep);
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(Errc::kBadFile)) << e.what();
  }
}

TEST(Pickle, ReadsOrRefusesWhatIsCutOrFlipped) {
  for (const char protocol : "0245"s) {
    std::string bytes = FixtureBytes("values_"s + protocol + ".pkl");
    for (size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_ERROR(Parsed(bytes.substr(0, i)), Errc::kBadFile, "p @");
      const char before = bytes[i];
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] = static_cast<char>(before ^ (1 << bit));
        ParseDamaged(bytes);
      }
      bytes[i] = before;
    }
  }
}

}  // namespace
}  // namespace gas
