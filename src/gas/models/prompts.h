// Lists of prompts, of which every seed has one.
#ifndef GAS_MODELS_PROMPTS_H_
#define GAS_MODELS_PROMPTS_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/models/image_size.h"

namespace gas {

// A prompt, and what its image must not show where it says that itself.
struct PromptLine {
  std::string prompt;
  std::optional<std::string> negative;
};

class PromptList {
 public:
  // Nothing is asked for.
  PromptList() = default;
  // The same for every seed.
  explicit PromptList(const std::string& prompt);
  // A file with a prompt a line, an empty line being the empty prompt; or of JSON lines, objects with
  // "prompt" and, if wanted, "negative", "seed" and "size" ("768x512"). Lines without seeds serve one seed
  // after the other, again from the first after the last. Throws Error(kBadFile), which names the file and
  // the line, for text that is neither, for other keys with the nearest, a seed that stands twice, seeds on
  // some lines alone, and sizes that are not the same on all lines.
  static PromptList Read(const std::filesystem::path& path);

  bool empty() const { return lines_.empty(); }
  const std::vector<PromptLine>& lines() const { return lines_; }
  bool has_negatives() const { return has_negatives_; }
  // Of all images, where the file says one.
  const std::optional<ImageSize>& size() const { return size_; }
  // Throws Error(kBadOption) for a seed that has no line, and for all seeds of an empty list.
  const PromptLine& For(Seed seed) const;
  // Changes with every line; "" for an empty list.
  const std::string& sha256() const { return sha256_; }

 private:
  void Add(PromptLine line, std::optional<Seed> seed);
  void Finish();

  std::string name_ = "prompts";  // for messages: the file's path
  std::vector<PromptLine> lines_;
  std::map<Seed, size_t> line_of_;  // empty where the order decides
  bool has_negatives_ = false;
  std::optional<ImageSize> size_;
  std::string sha256_;
};

}  // namespace gas

#endif  // GAS_MODELS_PROMPTS_H_
