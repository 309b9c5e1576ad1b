#include "gas/io/torch_tensors.h"

#include <set>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"

namespace gas {
namespace {

// Steps of the walk: a small file can name the same part of it any number of times.
constexpr size_t kMaxSteps = size_t{1} << 20;

// Finds the tensors below a value. Recursion goes as deep as values are nested, which ParsePickle bounds.
class TensorWalk {
 public:
  explicit TensorWalk(const TorchFile& file) : file_(file) {}

  void Visit(const std::string& name, const PickleValue& value) {
    SpendSteps(1);
    if (auto tensor = file_.TensorOf(value)) {
      Add(name, *std::move(tensor));
    } else if (const auto* dict = value.If<PickleDict>()) {
      for (const auto& [key, item] : dict->items) Visit(Join(name, KeyText(*key)), *item);
    } else if (const auto* sequence = value.If<PickleSequence>()) {
      for (size_t i = 0; i < sequence->items.size(); ++i)
        Visit(Join(name, std::to_string(i)), *sequence->items[i]);
    } else if (const PickleDict* attributes = file_.AttributesOf(value)) {
      VisitModule(name, *attributes);
    }
  }

  std::map<std::string, StridedTensor> tensors;

 private:
  void SpendSteps(size_t count) {
    steps_ += count;
    GAS_CHECK(steps_ <= kMaxSteps, Errc::kBadFile, file_.name(), ": more than ", kMaxSteps,
              " values on the way to its tensors");
  }

  // The attributes of an object that is no module have none of these.
  void VisitModule(const std::string& name, const PickleDict& attributes) {
    SpendSteps(attributes.items.size());
    VisitMembers(name, attributes, "_parameters", {});
    VisitMembers(name, attributes, "_buffers", NotPersistent(attributes));
    VisitMembers(name, attributes, "_modules", {});
  }

  void VisitMembers(const std::string& name, const PickleDict& attributes, std::string_view kind,
                    const std::set<std::string>& except) {
    const PickleRef members = ValueOf(attributes, kind);
    const auto* dict = members == nullptr ? nullptr : members->If<PickleDict>();
    if (dict == nullptr) return;
    for (const auto& [key, value] : dict->items) {
      const std::string text = KeyText(*key);
      if (!except.contains(text)) Visit(Join(name, text), *value);
    }
  }

  std::set<std::string> NotPersistent(const PickleDict& attributes) {
    std::set<std::string> names;
    const PickleRef value = ValueOf(attributes, "_non_persistent_buffers_set");
    const auto* set = value == nullptr ? nullptr : value->If<PickleSequence>();
    if (set == nullptr) return names;
    SpendSteps(set->items.size());
    for (const PickleRef item : set->items) {
      if (const auto* text = item->If<std::string>()) names.insert(*text);
    }
    return names;
  }

  std::string KeyText(const PickleValue& key) const {
    if (const auto* text = key.If<std::string>()) return *text;
    if (const auto* number = key.If<int64_t>()) return std::to_string(*number);
    if (const auto* global = key.If<PickleGlobal>()) return global->FullName();
    Fail(Errc::kBadFile, file_.name(), ": a key @", key.offset,
         " that is neither text nor integer names no tensor");
  }

  std::string Join(const std::string& name, const std::string& key) const {
    std::string joined = name.empty() ? key : name + "." + key;
    GAS_CHECK(joined.size() <= kMaxTorchNameBytes, Errc::kBadFile, file_.name(), ": the name ",
              Quoted(joined), " of ", joined.size(), " bytes, at most ", kMaxTorchNameBytes, " are read");
    return joined;
  }

  void Add(const std::string& name, StridedTensor tensor) {
    GAS_CHECK(!name.empty(), Errc::kBadFile, file_.name(), ": a tensor without a name");
    GAS_CHECK(tensors.size() < kMaxTorchTensors, Errc::kBadFile, file_.name(), ": more than ",
              kMaxTorchTensors, " tensors");
    const bool is_new = tensors.emplace(name, std::move(tensor)).second;
    GAS_CHECK(is_new, Errc::kBadFile, file_.name(), ": two tensors have the name ", Quoted(name));
  }

  const TorchFile& file_;
  size_t steps_ = 0;
};

// For messages: "the file" or "the file at state_dict.model".
std::string PathText(const std::vector<std::string>& path) {
  std::string text;
  for (const std::string& step : path) text += (text.empty() ? " at " : ".") + step;
  return text;
}

}  // namespace

TorchTensors::TorchTensors(std::shared_ptr<const TorchFile> file, const std::vector<std::string>& path)
    : file_(std::move(file)) {
  name_ = file_->name();
  const PickleRef part = file_->Find(path);
  GAS_CHECK(part != nullptr, Errc::kBadFile, name_, ": nothing", PathText(path));
  TensorWalk walk(*file_);
  walk.Visit("", *part);
  GAS_CHECK(!walk.tensors.empty(), Errc::kBadFile, name_, ": no tensors", PathText(path));
  places_ = std::move(walk.tensors);
  for (const auto& [name, place] : places_) tensors_[name] = {place.dtype, place.shape};
}

Tensor TorchTensors::View(const std::string& tensor) const {
  const auto found = places_.find(tensor);
  GAS_CHECK(found != places_.end(), Errc::kBadFile, name_, ": no tensor ", Quoted(tensor), " among its ",
            places_.size());
  return ContiguousView(name_ + ": tensor " + Quoted(tensor), found->second, file_->mapping());
}

}  // namespace gas
