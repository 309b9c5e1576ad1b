#include "gas/models/prompts.h"

#include <algorithm>
#include <limits>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/split.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxListBytes = uint64_t{1} << 28;
constexpr size_t kMaxPromptBytes = 1 << 14;

bool IsJsonLines(const std::vector<std::string>& lines) {
  const auto first = std::ranges::find_if(
      lines, [](const std::string& line) { return line.find_first_not_of(" \t") != line.npos; });
  return first != lines.end() && (*first)[first->find_first_not_of(" \t")] == '{';
}

struct LineOfFile {
  PromptLine line;
  std::optional<Seed> seed;
  std::optional<ImageSize> size;
};

std::string TextAt(const std::string& where, const Json& object, const char* key) {
  GAS_CHECK(object[key].is_string(), Errc::kBadFile, where, ": \"", key, "\" = ", Shown(object[key]),
            ", must be a text");
  return object[key].get<std::string>();
}

LineOfFile LineOfJson(const std::string& where, const std::string& text) {
  const Json object = ParseJson(where, text);
  GAS_CHECK(object.is_object() && object.contains("prompt"), Errc::kBadFile, where,
            ": must be an object with \"prompt\"");
  const std::vector<std::string> known = {"prompt", "negative", "seed", "size"};
  for (const auto& [key, value] : object.items()) {
    GAS_CHECK(std::ranges::find(known, key) != known.end(), Errc::kBadFile, where, ": key ", Quoted(key),
              " is unknown, did you mean ", NearestName(key, known), "?");
  }
  LineOfFile line{.line = {TextAt(where, object, "prompt"), {}}};
  if (object.contains("negative")) line.line.negative = TextAt(where, object, "negative");
  if (object.contains("seed")) {
    line.seed = WholeNumber(where + ": \"seed\"", object["seed"], 0, std::numeric_limits<int64_t>::max());
  }
  if (object.contains("size")) {
    line.size = ImageSizeIn(TextAt(where, object, "size"));
    GAS_CHECK(line.size, Errc::kBadFile, where, ": \"size\" = ", Shown(object["size"]),
              ", must be width and height such as 768x512");
  }
  return line;
}

std::string ShownSize(const std::optional<ImageSize>& size) {
  return size ? "size " + FormatImageSize(*size) : "no size";
}

void CheckPrompt(const std::string& where, const std::string& prompt) {
  GAS_CHECK(IsUtf8(prompt), Errc::kBadFile, where, ": is not UTF-8");
  GAS_CHECK(prompt.size() <= kMaxPromptBytes, Errc::kBadFile, where, ": a prompt of ", prompt.size(),
            " bytes, must be at most ", kMaxPromptBytes);
}

}  // namespace

PromptList::PromptList(const std::string& prompt) {
  CheckPrompt("the prompt", prompt);
  Add({prompt, {}}, {});
  Finish();
}

PromptList PromptList::Read(const std::filesystem::path& path) {
  const Bytes bytes = ReadFile(path, kMaxListBytes);
  const std::vector<std::string> lines = LinesOf({bytes.data(), bytes.size()});
  GAS_CHECK(!lines.empty(), Errc::kBadFile, path.string(), ": no prompts, must have at least one line");
  PromptList list;
  list.name_ = path.string();
  const bool json = IsJsonLines(lines);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string where = path.string() + ": line " + std::to_string(i + 1);
    CheckPrompt(where, lines[i]);
    const LineOfFile line = json ? LineOfJson(where, lines[i]) : LineOfFile{.line = {lines[i], {}}};
    if (i == 0) list.size_ = line.size;
    GAS_CHECK(line.size == list.size_, Errc::kBadFile, where, ": ", ShownSize(line.size), ", line 1 has ",
              ShownSize(list.size_), ", and all images of a run have one size");
    GAS_CHECK(!line.seed || !list.line_of_.contains(*line.seed), Errc::kBadFile, where, ": seed ",
              line.seed.value_or(0), " has a line already");
    list.Add(line.line, line.seed);
    GAS_CHECK(list.line_of_.empty() || list.line_of_.size() == list.lines_.size(), Errc::kBadFile, where,
              ": seeds must stand on all lines or on none");
  }
  list.Finish();
  return list;
}

void PromptList::Add(PromptLine line, std::optional<Seed> seed) {
  if (seed) line_of_[*seed] = lines_.size();
  has_negatives_ = has_negatives_ || line.negative.has_value();
  lines_.push_back(std::move(line));
}

void PromptList::Finish() {
  Json all = Json::array();
  for (const PromptLine& line : lines_) {
    all.push_back(line.negative ? Json{line.prompt, *line.negative} : Json{line.prompt});
  }
  for (const auto& [seed, line] : line_of_) all.push_back({seed, line});
  sha256_ = Sha256(all.dump());
}

const PromptLine& PromptList::For(Seed seed) const {
  GAS_CHECK(!empty(), Errc::kBadOption, "no prompt: --prompt TEXT or --prompts FILE says what images show");
  if (line_of_.empty()) return lines_[seed % lines_.size()];
  const auto found = line_of_.find(seed);
  GAS_CHECK(found != line_of_.end(), Errc::kBadOption, name_, ": seed ", seed, " has no line, others have");
  return lines_[found->second];
}

}  // namespace gas
