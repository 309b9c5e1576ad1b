// Reading LPIPS from the files that the user names.
#include "gas/core/error.h"
#include "gas/features/lpips.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/nn/state_dict.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

// What people have on their disks, for messages.
struct Published {
  const char* trunk_file;  // torchvision's
  const char* heads_file;  // of the lpips package, weights/v0.1
  const char*
      heads_sha256;  // of the float32 numbers of that file's tensors lin0, lin1, ... one after the other
};

Published PublishedFiles(TrunkKind kind) {
  switch (kind) {
    case TrunkKind::kVgg16:
      return {"vgg16-397923af.pth", "vgg.pth",
              "9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78"};
    case TrunkKind::kAlexNet:
      return {"alexnet-owt-7be5be79.pth", "alex.pth",
              "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4"};
    case TrunkKind::kSqueezeNet:
      return {"squeezenet1_1-b8a52dc0.pth", "squeeze.pth",
              "68f1b1752260e0335c6394983132e210e3ed5c2540e78d239be07671a77130e4"};
  }
  GAS_ASSERT(false);
}

struct ReadFrom {
  Safetensors file;
  std::string sha256;
};

ReadFrom Read(TrunkKind kind, const fs::path& path) {
  GAS_CHECK(fs::exists(path), Errc::kBadFile, path.string(), ": no such file; ", LpipsFilesNeeded(kind));
  const Bytes bytes = ReadFile(path);
  // A file of torch.save is a zip or a pickle; a safetensors file has the '{' of its header at byte 8.
  const bool header = bytes.size() > 8 && bytes[8] == '{';
  const bool torch_save =
      bytes.size() > 8 && !header && ((bytes[0] == 'P' && bytes[1] == 'K') || bytes[0] == '\x80');
  GAS_CHECK(!torch_save, Errc::kBadFile, path.string(), ": is a file of torch.save, must be safetensors; ",
            LpipsFilesNeeded(kind));
  return {ParseSafetensors(path.string(), bytes), Sha256(bytes)};
}

// The tensors of `features`, without those of torchvision's classifier.
std::map<std::string, Tensor> TrunkTensors(const Safetensors& file) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with("features.")) tensors[name] = tensor;
  }
  return tensors;
}

std::vector<Tensor> HeadTensors(const Safetensors& file, TrunkKind kind, size_t count) {
  std::vector<Tensor> heads;
  for (size_t l = 0; l < count; ++l) {
    const std::string name = "lin" + std::to_string(l) + ".model.1.weight";
    const auto of_net = file.tensors.find(LpipsName(kind) + "." + name), plain = file.tensors.find(name);
    GAS_CHECK(of_net != file.tensors.end() || plain != file.tensors.end(), Errc::kBadFile, file.name,
              ": tensor ", name, " is missing; ", LpipsFilesNeeded(kind));
    heads.push_back((of_net != file.tensors.end() ? of_net : plain)->second.to(torch::kFloat32).contiguous());
  }
  return heads;
}

std::string Sha256Of(const std::vector<Tensor>& heads) {
  Bytes bytes;
  for (const Tensor& head : heads) {
    const auto* begin = static_cast<const char*>(head.data_ptr());
    bytes.insert(bytes.end(), begin, begin + head.nbytes());
  }
  return Sha256(bytes);
}

}  // namespace

std::string LpipsFilesNeeded(TrunkKind kind) {
  const Published p = PublishedFiles(kind);
  return "lpips-" + LpipsName(kind) + " needs torchvision's " + p.trunk_file + " and the heads " +
         p.heads_file +
         " of the lpips package (weights/v0.1), both as safetensors: docs/lpips.md says how to convert them";
}

LpipsModel ReadLpips(TrunkKind kind, const LpipsFiles& files, const LpipsOptions& options) {
  GAS_CHECK(!files.trunk.empty(), Errc::kBadOption, "no file of weights is named; ", LpipsFilesNeeded(kind));
  const ReadFrom trunk = Read(kind, files.trunk);
  const ReadFrom heads = files.heads.empty() ? trunk : Read(kind, files.heads);
  LpipsModel model;
  model.network = std::make_shared<Lpips>(kind, options);
  ImageTrunk& network = model.network->trunk();
  LoadStateDict(network, TrunkTensors(trunk.file), trunk.file.name);
  UseChannelsLast(network);
  const std::vector<Tensor> weights = HeadTensors(heads.file, kind, network.tap_channels().size());
  model.network->SetHeads(weights, heads.file.name);
  const bool published = Sha256Of(weights) == PublishedFiles(kind).heads_sha256;
  model.source = {{"trunk", LpipsName(kind)},
                  {"trunk_sha256", trunk.sha256},
                  {"heads_sha256", heads.sha256},
                  {"heads", published ? "published v0.1" : "other"}};
  return model;
}

}  // namespace gas
