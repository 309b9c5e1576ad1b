#include "gas/models/torchscript/torchscript_family.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/torch_formats.h"
#include "gas/io/zip.h"
#include "gas/models/torchscript/compiled_module.h"
#include "gas/models/torchscript/module_card.h"
#include "gas/models/torchscript/module_denoiser.h"
#include "gas/models/torchscript/script_module.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxCardBytes = uint64_t{64} << 20;  // a discrete schedule of any length
// How torch.jit.save names the extra file gas.json in its archive.
constexpr std::string_view kCardEntry = "extra/gas.json";

std::string TextOf(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

// The files of a model, whichever of them the user named.
struct Parts {
  fs::path module;
  std::string card_name, card;  // where the card is, and its text
};

std::optional<std::string> CardInside(const fs::path& module) {
  const MappedFile file(module);
  for (const ZipEntry& entry : ReadZipDirectory(module.string(), file.bytes())) {
    if (!entry.name.ends_with(kCardEntry)) continue;
    GAS_CHECK(entry.size <= kMaxCardBytes, Errc::kBadFile, module.string(), ": its ", kCardEntry, " has ",
              entry.size, " bytes, at most ", kMaxCardBytes, " are read");
    return TextOf(ExtractZipEntry(module.string(), entry));
  }
  return {};
}

Parts PartsOfModule(const fs::path& module) {
  const std::optional<std::string> inside = CardInside(module);
  const fs::path beside = fs::path(module).replace_extension(".json");
  GAS_CHECK(!inside || !fs::exists(beside), Errc::kBadFile, module.string(),
            ": has a card in itself and another beside it, ", beside.string(), "; remove one");
  if (inside) return {module, module.string() + ": " + std::string(kCardEntry), *inside};
  GAS_CHECK(fs::exists(beside), Errc::kBadFile, module.string(),
            ": an exported network needs a card that says what it predicts; write ", beside.string(),
            " (docs/bring-your-own-model.md)");
  return {module, beside.string(), TextOf(ReadFile(beside, kMaxCardBytes))};
}

// A card names its network, or lies beside it under its name.
Parts PartsOfCard(const fs::path& card) {
  const std::string text = TextOf(ReadFile(card, kMaxCardBytes));
  const nlohmann::json json = ParseJson(card.string(), text);
  if (!json.contains("file")) {
    const fs::path script = fs::path(card).replace_extension(".pt"),
                   package = fs::path(card).replace_extension(".pt2");
    return {fs::exists(package) && !fs::exists(script) ? package : script, card.string(), text};
  }
  std::string file;
  ReadField(card.string() + ": \"file\"", json["file"], file);
  return {card.parent_path() / file, card.string(), text};
}

bool IsExportedArchive(const ModelFiles& files) {
  return IsTorchScriptArchive(files.entries()) || IsCompiledPackage(files.entries());
}

Parts PartsOf(const ModelFiles& files) {
  return IsExportedArchive(files) ? PartsOfModule(files.path()) : PartsOfCard(files.path());
}

// files: those that the user named, which may be the module's own.
bool IsCompiled(const ModelFiles& files, const fs::path& module) {
  if (IsExportedArchive(files)) return IsCompiledPackage(files.entries());
  return IsCompiledPackage(ModelFiles(module.string()).entries());
}

std::shared_ptr<const ExportedModule> OpenModule(const fs::path& path, bool compiled,
                                                 const ModelOptions& options) {
  if (!compiled) return OpenScriptModule(path, options.device);
  CheckFloat32(options, path.string(), "a compiled network, whose types are fixed");
  return OpenCompiledModule(path, options.device);
}

// Of images in another range than [-1, 1].
class RangeCodec : public ImageCodec {
 public:
  RangeCodec(double low, double high) : low_(low), high_(high) {}
  Tensor Decode(const Tensor& latents) const override { return (latents - low_) * (2 / (high_ - low_)) - 1; }
  Tensor Encode(const Tensor& images) const override { return (images + 1) * ((high_ - low_) / 2) + low_; }

 private:
  double low_, high_;
};

}  // namespace

bool IsTorchScript(const ModelFiles& files) {
  return IsExportedArchive(files) || files.HasJsonEntry(kCardKey);
}

Model OpenTorchScript(const ModelFiles& files, const ModelOptions& options) {
  const Parts parts = PartsOf(files);
  const ModuleCard card = ParseModuleCard(parts.card_name, parts.card);
  const auto module = OpenModule(parts.module, IsCompiled(files, parts.module), options);
  Model model;
  model.name = card.facts.name;
  model.sha256 = Sha256With(Sha256OfFile(parts.module), parts.card);
  model.schedule = card.facts.schedule;
  model.shape = card.facts.shape;
  model.classes = card.facts.classes;
  model.class_names = card.class_names;
  model.features = card.features;
  model.parameters = module->parameters();
  model.has_gradient = module->has_gradient();
  model.denoiser = std::make_shared<ModuleDenoiser>(parts.module.string(), module, card, options.dtype);
  model.conditioner = std::make_shared<ClassConditioner>(card.facts.classes, card.has_none());
  if (card.range_low != -1 || card.range_high != 1)
    model.codec = std::make_shared<RangeCodec>(card.range_low, card.range_high);
  return model;
}

}  // namespace gas
