// Files of guided-diffusion and the consistency models' EDM networks, for tests.
#ifndef GAS_TESTS_MODELS_ADM_FILE_H_
#define GAS_TESTS_MODELS_ADM_FILE_H_

#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "gas/io/safetensors.h"
#include "gas/io/torch_tensors.h"
#include "gas/models/model.h"
#include "support/openai_unets.h"
#include "support/temp_folder.h"

namespace gas::testing {

// A file of the fixtures in a folder of the test's own, with a card beside it.
class AdmFile : public ::testing::Test {
 protected:
  // Skips the test where the file is not there.
  void Take(const std::string& name, const nlohmann::json& card) {
    const std::filesystem::path original = WeightFile(name);
    if (original.empty()) GTEST_SKIP() << name << " is not there";
    path_ = folder_.path() / name;
    std::filesystem::copy_file(original, path_);
    WriteCard(card);
  }
  void WriteCard(const nlohmann::json& card) { std::ofstream(path_.string() + ".json") << card; }
  Model Open(const ModelOptions& options = {}) const { return OpenModel(path_.string(), options); }

  // The weights as a safetensors file, changed.
  void Rewrite(const std::function<void(std::map<std::string, Tensor>&)>& change,
               const nlohmann::json& card) {
    const TorchTensors weights(std::make_shared<TorchFile>(path_));
    std::map<std::string, Tensor> tensors;
    for (const auto& item : weights.tensors()) tensors[item.first] = weights.View(item.first).clone();
    change(tensors);
    path_ = folder_.path() / "changed.safetensors";
    WriteSafetensors(path_, tensors, {});
    WriteCard(card);
  }

  TempFolder folder_{"adm"};
  std::filesystem::path path_;
};

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_ADM_FILE_H_
