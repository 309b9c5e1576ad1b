// The three ways in which PyTorch's users store values: a pickle with its storages in a zip archive, the same
// as one stream, and a plain pickle.
#ifndef GAS_IO_TORCH_FORMATS_H_
#define GAS_IO_TORCH_FORMATS_H_

#include <span>
#include <string>
#include <string_view>

#include "gas/io/pickle.h"
#include "gas/io/torch_storage.h"

namespace gas {

struct TorchContent {
  std::string name;  // of the pickle, for messages
  Pickle pickle;
  TorchStorageBytes storages;
};

// What the first bytes of a file look like: a zip archive; a pickle of protocol 2 or later, torch.save's
// older streams among them.
bool LooksLikeZip(std::string_view head);
bool LooksLikePickle(std::string_view head);

// Whether a zip archive with these entries is one that torch.save wrote, or one of TorchScript.
bool IsTorchArchive(std::span<const std::string> entries);
bool IsTorchScriptArchive(std::span<const std::string> entries);
// Whether it is a package of AOTInductor: FOLDER/data/aotinductor/MODEL/ has a compiled network.
bool IsCompiledPackage(std::span<const std::string> entries);

// What torch.save writes since PyTorch 1.6: FOLDER/data.pkl and FOLDER/data/KEY, stored, not compressed.
// Throws Error(kBadFile) for a TorchScript archive, for compressed entries and for big-endian numbers too.
TorchContent ReadTorchZip(std::string_view name, std::span<const char> bytes, const PickleOptions& options);

// What torch.save wrote before: five pickles (a magic number, the format's version 1001, facts about the
// system, the value, the keys of its storages), then each storage as its number of elements (8 bytes) and its
// elements.
bool IsTorchStream(std::span<const char> bytes);
TorchContent ReadTorchStream(std::string_view name, std::span<const char> bytes,
                             const PickleOptions& options);

// A pickle and nothing behind it.
TorchContent ReadPlainPickle(std::string_view name, std::span<const char> bytes,
                             const PickleOptions& options);

// Which of them `bytes` are, from how they begin. The tar archives of PyTorch before 0.2 are refused.
TorchContent ReadTorchContent(std::string_view name, std::span<const char> bytes,
                              const PickleOptions& options);

}  // namespace gas

#endif  // GAS_IO_TORCH_FORMATS_H_
