#include "gas/io/pickle.h"

#include <unordered_map>

#include "gas/io/layout.h"
#include "gas/io/pickle_builder.h"
#include "gas/io/pickle_check.h"
#include "gas/io/pickle_opcodes.h"
#include "gas/io/pickle_text.h"

namespace gas {
namespace {

constexpr int kNewestProtocol = 5;

// The stack machine that a pickle is a program of.
class PickleMachine {
 public:
  PickleMachine(std::string_view name, std::span<const char> bytes, const PickleOptions& options)
      : bytes_(bytes), builder_(name, bytes.size(), options) {}

  Pickle Run() && {
    while (true) {
      builder_.BeginStep(at_);
      const auto op = static_cast<PickleOp>(TakeNumber<uint8_t>());
      if (op == PickleOp::kStop) break;
      if (!DoNumber(op) && !DoText(op) && !DoContainer(op) && !DoMemo(op) && !DoCall(op)) DoOther(op);
    }
    const PickleRef root = Pop();
    if (!stack_.empty()) builder_.Refuse("values are left over at its end");
    return std::move(builder_).Finish(root, at_);
  }

 private:
  using Values = std::vector<PickleValue*>;
  using SequenceKind = PickleSequence::Kind;

  // ---- bytes

  std::span<const char> Take(uint64_t n) {
    const uint64_t left = bytes_.size() - at_;
    if (n > left) builder_.Refuse("needs ", n, " bytes at ", at_, ", ", left, " left");
    const auto taken = bytes_.subspan(at_, n);
    at_ += n;
    return taken;
  }

  template <class T>
  T TakeNumber() {
    return LoadLittleEndian<T>(Take(sizeof(T)).data());
  }

  // As many bytes as the number of type Length before them says.
  template <class Length>
  std::span<const char> TakeCounted() {
    const auto length = TakeNumber<Length>();
    if constexpr (std::is_signed_v<Length>) {
      if (length < 0) builder_.Refuse("a length of ", length);
    }
    return Take(static_cast<uint64_t>(length));
  }

  // Up to the end of the line, which is taken but not part of it.
  std::string_view TakeLine() {
    const std::string_view rest(bytes_.data() + at_, bytes_.size() - at_);
    const size_t length = rest.find('\n');
    if (length == std::string_view::npos) builder_.Refuse("a line that does not end");
    at_ += length + 1;
    return rest.substr(0, length);
  }

  // ---- stack

  void Push(PickleValue* value) { stack_.push_back(value); }
  template <class T>
  void PushNew(T content) {
    Push(builder_.New(std::move(content)));
  }

  // The values above the last mark may be taken, the mark not.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleValue* Top() const {
    if (stack_.size() <= Floor()) builder_.Refuse("a value is missing on its stack");
    return stack_.back();
  }

  PickleValue* Pop() {
    PickleValue* value = Top();
    stack_.pop_back();
    return value;
  }

  // The last n values.
  Values PopMany(size_t n) {
    if (stack_.size() - Floor() < n) builder_.Refuse("a value is missing on its stack");
    Values values(stack_.end() - static_cast<ptrdiff_t>(n), stack_.end());
    stack_.resize(stack_.size() - n);
    return values;
  }

  // The values above the last mark, and the mark.
  Values PopToMark() {
    if (marks_.empty()) builder_.Refuse("a mark is missing on its stack");
    Values values = PopMany(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }

  static PickleSequence Sequence(SequenceKind kind, const Values& values) {
    return {.kind = kind, .items = {values.begin(), values.end()}};
  }

  // ---- opcodes, by what they do; false if the opcode is none of these

  bool DoNumber(PickleOp op) {
    switch (op) {
      case PickleOp::kNone: PushNew(PickleNone{}); return true;
      case PickleOp::kNewTrue: PushNew(true); return true;
      case PickleOp::kNewFalse: PushNew(false); return true;
      case PickleOp::kInt: PushIntegerLine(); return true;
      case PickleOp::kLong: PushLongLine(); return true;
      case PickleOp::kBinInt: PushNew(int64_t{TakeNumber<int32_t>()}); return true;
      case PickleOp::kBinInt1: PushNew(int64_t{TakeNumber<uint8_t>()}); return true;
      case PickleOp::kBinInt2: PushNew(int64_t{TakeNumber<uint16_t>()}); return true;
      case PickleOp::kLong1: PushLong(TakeCounted<uint8_t>()); return true;
      case PickleOp::kLong4: PushLong(TakeCounted<int32_t>()); return true;
      case PickleOp::kFloat: PushFloatLine(); return true;
      case PickleOp::kBinFloat: PushBigEndianFloat(); return true;
      default: return false;
    }
  }

  bool DoText(PickleOp op) {
    switch (op) {
      case PickleOp::kString: PushStringLine(); return true;
      case PickleOp::kUnicode: PushUnicodeLine(); return true;
      case PickleOp::kBinString: PushText(TakeCounted<int32_t>()); return true;
      case PickleOp::kShortBinString:
      case PickleOp::kShortBinUnicode: PushText(TakeCounted<uint8_t>()); return true;
      case PickleOp::kBinUnicode: PushText(TakeCounted<uint32_t>()); return true;
      case PickleOp::kBinUnicode8: PushText(TakeCounted<uint64_t>()); return true;
      case PickleOp::kShortBinBytes: PushNew(PickleBytes{TakeCounted<uint8_t>()}); return true;
      case PickleOp::kBinBytes: PushNew(PickleBytes{TakeCounted<uint32_t>()}); return true;
      case PickleOp::kBinBytes8:
      case PickleOp::kByteArray8: PushNew(PickleBytes{TakeCounted<uint64_t>()}); return true;
      default: return false;
    }
  }

  bool DoContainer(PickleOp op) {
    switch (op) {
      case PickleOp::kEmptyTuple: PushNew(PickleSequence{}); return true;
      case PickleOp::kTuple1: PushNew(Sequence(SequenceKind::kTuple, PopMany(1))); return true;
      case PickleOp::kTuple2: PushNew(Sequence(SequenceKind::kTuple, PopMany(2))); return true;
      case PickleOp::kTuple3: PushNew(Sequence(SequenceKind::kTuple, PopMany(3))); return true;
      case PickleOp::kTuple: PushNew(Sequence(SequenceKind::kTuple, PopToMark())); return true;
      case PickleOp::kEmptyList: PushNew(Sequence(SequenceKind::kList, {})); return true;
      case PickleOp::kList: PushNew(Sequence(SequenceKind::kList, PopToMark())); return true;
      case PickleOp::kAppend: AppendTo(PopMany(1)); return true;
      case PickleOp::kAppends: AppendTo(PopToMark()); return true;
      case PickleOp::kEmptySet: PushNew(Sequence(SequenceKind::kSet, {})); return true;
      case PickleOp::kFrozenSet: PushNew(Sequence(SequenceKind::kSet, PopToMark())); return true;
      case PickleOp::kAddItems: AddTo(PopToMark()); return true;
      case PickleOp::kEmptyDict: PushNew(PickleDict{}); return true;
      case PickleOp::kDict: PushDict(PopToMark()); return true;
      case PickleOp::kSetItem: SetItemsOf(PopMany(2)); return true;
      case PickleOp::kSetItems: SetItemsOf(PopToMark()); return true;
      default: return false;
    }
  }

  bool DoMemo(PickleOp op) {
    switch (op) {
      case PickleOp::kPut: Put(TakeIndexLine()); return true;
      case PickleOp::kBinPut: Put(TakeNumber<uint8_t>()); return true;
      case PickleOp::kLongBinPut: Put(TakeNumber<uint32_t>()); return true;
      case PickleOp::kMemoize: Put(static_cast<int64_t>(memo_.size())); return true;
      case PickleOp::kGet: Get(TakeIndexLine()); return true;
      case PickleOp::kBinGet: Get(TakeNumber<uint8_t>()); return true;
      case PickleOp::kLongBinGet: Get(TakeNumber<uint32_t>()); return true;
      default: return false;
    }
  }

  bool DoCall(PickleOp op) {
    switch (op) {
      case PickleOp::kGlobal: PushGlobalLines(); return true;
      case PickleOp::kStackGlobal: PushGlobalOfStack(); return true;
      case PickleOp::kReduce: Call(); return true;
      case PickleOp::kNewObj: NewObject(PopMany(2)); return true;
      case PickleOp::kNewObjEx: NewObjectWithKeywords(PopMany(3)); return true;
      case PickleOp::kInst: CallOfLines(); return true;
      case PickleOp::kObj: CallOfMarked(PopToMark()); return true;
      case PickleOp::kBuild: Build(); return true;
      case PickleOp::kPersId: PushNew(PicklePersistentId{PersistentLine()}); return true;
      case PickleOp::kBinPersId: PushNew(PicklePersistentId{Pop()}); return true;
      default: return false;
    }
  }

  void DoOther(PickleOp op) {
    switch (op) {
      case PickleOp::kMark: marks_.push_back(stack_.size()); return;
      case PickleOp::kPop: PopOneOrMark(); return;
      case PickleOp::kPopMark: PopToMark(); return;
      case PickleOp::kDup: Push(Top()); return;
      case PickleOp::kProto: CheckProtocol(); return;
      case PickleOp::kFrame: CheckFrame(); return;
      case PickleOp::kExt1:
      case PickleOp::kExt2:
      case PickleOp::kExt4: builder_.Refuse("an extension code, which only the program that wrote it knows");
      case PickleOp::kNextBuffer:
      case PickleOp::kReadonlyBuffer: builder_.Refuse("a buffer outside of the pickle");
      default: builder_.Refuse("the opcode ", static_cast<int>(op), ", which pickles do not have");
    }
  }

  // ---- numbers

  // I01 and I00 are True and False.
  void PushIntegerLine() {
    const std::string_view line = TakeLine();
    if (line == "00" || line == "01") return PushNew(line == "01");
    PushInteger(line);
  }

  void PushLongLine() {
    std::string_view line = TakeLine();
    if (line.ends_with('L')) line.remove_suffix(1);
    PushInteger(line);
  }

  void PushInteger(std::string_view line) {
    const auto value = ParsePickleInteger(line);
    if (!value) builder_.Refuse("not a decimal integer of at most 64 bits");
    PushNew(*value);
  }

  // Little-endian, two's complement.
  void PushLong(std::span<const char> bytes) {
    if (bytes.size() > sizeof(int64_t)) return PushNew(PickleBigInt{bytes});
    const bool negative = !bytes.empty() && static_cast<signed char>(bytes.back()) < 0;
    int64_t value = negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    PushNew(value);
  }

  void PushFloatLine() {
    const auto value = ParsePickleFloat(TakeLine());
    if (!value) builder_.Refuse("not a number");
    PushNew(*value);
  }

  void PushBigEndianFloat() { PushNew(std::bit_cast<double>(__builtin_bswap64(TakeNumber<uint64_t>()))); }

  // ---- texts

  void PushText(std::span<const char> bytes) { Push(builder_.NewText({bytes.begin(), bytes.end()})); }

  void PushStringLine() {
    auto text = ParsePickleString(TakeLine());
    if (!text) builder_.Refuse("not a quoted string");
    Push(builder_.NewText(*std::move(text)));
  }

  void PushUnicodeLine() {
    auto text = ParseRawUnicode(TakeLine());
    if (!text) builder_.Refuse("a damaged escape in a text");
    Push(builder_.NewText(*std::move(text)));
  }

  // ---- containers

  void AppendTo(const Values& items) { builder_.Append(Top(), items); }
  void AddTo(const Values& items) { builder_.AddToSet(Top(), items); }
  void SetItemsOf(const Values& items) { builder_.SetItems(Top(), items); }

  void PushDict(const Values& items) {
    PickleValue* dict = builder_.New(PickleDict{});
    builder_.SetItems(dict, items);
    Push(dict);
  }

  // ---- memo

  int64_t TakeIndexLine() {
    const auto index = ParsePickleInteger(TakeLine());
    if (!index || *index < 0) builder_.Refuse("not the number of a memo");
    return *index;
  }

  void Put(int64_t index) { memo_[index] = Top(); }

  void Get(int64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) builder_.Refuse("the memo ", index, " is not there");
    Push(found->second);
  }

  // ---- names and calls

  void PushGlobalLines() {
    const std::string_view module = TakeLine(), name = TakeLine();
    Push(builder_.NewGlobal(module, name));
  }

  void PushGlobalOfStack() {
    const Values both = PopMany(2);
    const auto *module = both[0]->If<std::string>(), *name = both[1]->If<std::string>();
    if (module == nullptr || name == nullptr) builder_.Refuse("a name that is not a text");
    Push(builder_.NewGlobal(*module, *name));
  }

  void Call() {
    const Values both = PopMany(2);
    Push(builder_.Call(both[0], both[1]));
  }

  // INST: names a class and calls it with what is above the mark.
  void CallOfLines() {
    const std::string_view module = TakeLine(), name = TakeLine();
    const PickleRef callable = builder_.NewGlobal(module, name);
    Push(builder_.Call(callable, builder_.New(Sequence(SequenceKind::kTuple, PopToMark()))));
  }

  // OBJ: the class is the first above the mark.
  void CallOfMarked(const Values& values) {
    if (values.empty()) builder_.Refuse("a call of nothing");
    const Values args(values.begin() + 1, values.end());
    Push(builder_.Call(values[0], builder_.New(Sequence(SequenceKind::kTuple, args))));
  }

  void NewObject(const Values& both) { Push(builder_.NewObject(both[0], both[1])); }

  void NewObjectWithKeywords(const Values& three) {
    const auto* keywords = three[2]->If<PickleDict>();
    if (keywords == nullptr || !keywords->items.empty())
      builder_.Refuse("an object made with keyword arguments");
    Push(builder_.NewObject(three[0], three[1]));
  }

  void Build() {
    const PickleRef state = Pop();
    builder_.Build(Top(), state);
  }

  PickleRef PersistentLine() { return builder_.NewText(std::string(TakeLine())); }

  // ---- others

  void PopOneOrMark() {
    if (!marks_.empty() && stack_.size() == marks_.back()) {
      marks_.pop_back();
    } else {
      Pop();
    }
  }

  void CheckProtocol() {
    const int protocol = TakeNumber<uint8_t>();
    if (protocol > kNewestProtocol)
      builder_.Refuse("protocol ", protocol, ", at most ", kNewestProtocol, " is read");
  }

  // Frames tell Python how much to read at once; here all is there.
  void CheckFrame() {
    const auto length = TakeNumber<uint64_t>();
    const uint64_t left = bytes_.size() - at_;
    if (length > left) builder_.Refuse("a frame of ", length, " bytes, ", left, " left");
  }

  std::span<const char> bytes_;
  uint64_t at_ = 0;
  PickleBuilder builder_;
  Values stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<int64_t, PickleValue*> memo_;
};

}  // namespace

Pickle ParsePickle(std::string_view name, std::span<const char> bytes, const PickleOptions& options) {
  Pickle pickle = PickleMachine(name, bytes, options).Run();
  CheckPickle(name, pickle);
  return pickle;
}

}  // namespace gas
