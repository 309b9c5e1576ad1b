// Teacher data of the reference program of GAS (github.com/3145tttt/GAS), made into a folder of this one.
#ifndef GAS_TEACHER_IMPORT_DATASET_H_
#define GAS_TEACHER_IMPORT_DATASET_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/io/torch_file.h"
#include "gas/models/model.h"
#include "gas/teacher/teacher_spec.h"

namespace gas {

// A file as collate.py and generate.py write it: a dictionary with `noise`, `images`, `latents` and
// `condition`.
bool IsForeignDataset(const TorchFile& file);

// One or several such files, one after the other.
class ForeignDataset {
 public:
  // A file, or a folder: then its *.pt files in the order of their names as text, as collate.py takes them.
  // Throws Error(kBadFile) for files that are none, tensors whose rows or shapes do not agree, numbers that
  // are not finite, and conditions that are texts.
  explicit ForeignDataset(const std::filesystem::path& path);

  int64_t size() const { return size_; }
  std::vector<int64_t> shape() const;  // of a sample
  bool has_latents() const { return parts_.front().has_latents; }
  bool has_labels() const { return parts_.front().labels.defined(); }
  std::string sha256() const;  // of the file; of a folder, of the hashes of its files

  // Row `index`, [...] float32 of noise and sample (its latents, where it has some), and its class, -1 for
  // none. Bytes v of images are v / 127.5 - 1.
  struct Row {
    Tensor noise, sample;
    int64_t label = -1;
  };
  Row At(int64_t index) const;
  int64_t MostLabel() const;  // -1 without labels

 private:
  struct Part {
    std::shared_ptr<const TorchFile> file;
    Tensor noise, samples, labels;  // [B,...] as in the file; labels [B] int64 or undefined
    bool has_latents = false;
  };
  static Part Open(const std::filesystem::path& path);

  std::vector<Part> parts_;
  int64_t size_ = 0;
};

struct ImportDatasetOptions {
  // As far as they are known; "" and nothing where they are not.
  std::string solver, grid;
  std::optional<int64_t> nfe;
  // Of each row of the file; nothing: 0, 1, 2, ... They number the samples. What needs the noise of a seed
  // again, as gas fit does, makes its own.
  std::optional<std::vector<Seed>> seeds;
};

// Writes the rows as teacher data of `model` into a folder that has no teacher data yet. The manifest is
// written last, so that a folder that was not finished is none. Returns how many there are. Throws
// Error(kBadOption) for a model of another shape, labels that it does not have, a wrong number of seeds and
// equal ones, a solver without its number of evaluations, and what MakeSolverTable refuses; Error(kBadFile)
// for a folder that has shards.
int64_t ImportDataset(const ForeignDataset& data, const Model& model, const std::filesystem::path& folder,
                      const ImportDatasetOptions& options);

}  // namespace gas

#endif  // GAS_TEACHER_IMPORT_DATASET_H_
