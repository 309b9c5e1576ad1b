// NVIDIA's pickles: each gives the network whose numbers the reference computed, and a damaged one a
// sentence.
#include "gas/models/edm/edm_pickle.h"

#include <algorithm>
#include <chrono>

#include "gas/io/file.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/model.h"
#include "gas/nn/state_dict.h"
#include "support/expect.h"
#include "support/networks.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

// Stems of the pickles in the folder edm_networks, sorted.
std::vector<std::string> PickleNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(testing::FixtureFolder() / "edm_networks")) {
    if (entry.path().extension() == ".pkl") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string PathOf(const std::string& name) {
  return (testing::FixtureFolder() / "edm_networks" / (name + ".pkl")).string();
}

// What the training loop writes has the network of the file that is named like it.
testing::Fixture FixtureOf(const std::string& pickle) {
  return testing::Fixture("edm_networks/" + pickle.substr(0, pickle.find("_training_loop")));
}

TEST(EdmPickle, HoldsTheNetworkOfTheReference) {
  const auto names = PickleNames();
  ASSERT_GE(names.size(), 5u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const testing::Fixture fixture = FixtureOf(name);
    const ModelFiles files(PathOf(name));
    const edm::PrecondConfig config = edm::ConfigOf(files);
    EXPECT_EQ(edm::InitKwargs(config),
              edm::InitKwargs(edm::PrecondConfigFromJson(fixture.json().at("class_name"),
                                                         fixture.json().at("init_kwargs"))));
    const auto network = testing::PickledNetwork(name);
    testing::ExpectSame(StateDict(*network), testing::TensorsBelow(fixture, "weights/"));
    for (const auto& c : fixture.cases()) {
      const std::string prefix = c.at("prefix");
      const Tensor labels = c.at("class_labels").is_null() ? Tensor() : fixture.at("labels");
      EXPECT_TRUE(testing::Close(network->Denoise(fixture.at("x"), fixture.at("sigma"), labels),
                                 fixture.at(prefix + "D"), 1e-5, 0));
    }
  }
}

TEST(EdmPickle, OpensAsAModel) {
  for (const std::string& name : PickleNames()) {
    SCOPED_TRACE(name);
    const testing::Fixture fixture = FixtureOf(name);
    const Model model = OpenModel(PathOf(name));
    EXPECT_EQ(model.family, "edm");
    EXPECT_EQ(model.name, name);
    EXPECT_EQ(model.shape, fixture.at("x").sizes().slice(1));
    EXPECT_EQ(model.classes, fixture.json().at("init_kwargs").at("label_dim"));
    EXPECT_EQ(model.parameters, fixture.json().at("num_parameters"));
    EXPECT_EQ(model.sha256, Sha256OfFile(PathOf(name)));
  }
}

TEST(EdmPickle, SaysWhatTrainingLeftInIt) {
  const Model model = OpenModel(PathOf("edm_ddpmpp_training_loop"));
  EXPECT_EQ(model.unused, std::vector<std::string>({"loss_fn", "augment_pipe", "dataset_kwargs"}));
  EXPECT_TRUE(OpenModel(PathOf("edm_ddpmpp")).unused.empty());
}

class DamagedEdmPickle : public ::testing::Test {
 protected:
  // Writes the bytes; the error that they give is a bad file's, and comes soon.
  void ExpectRefused(const Bytes& bytes) {
    WriteFile(path_, bytes);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, "network.pkl");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  }
  // A pickle whose text `from` is `to`, of the same length.
  static Bytes Replaced(Bytes bytes, const std::string& from, const std::string& to) {
    const auto at = std::search(bytes.begin(), bytes.end(), from.begin(), from.end());
    EXPECT_NE(at, bytes.end());
    std::copy(to.begin(), to.end(), at);
    return bytes;
  }

  testing::TempFolder folder_{"edm_pickle"};
  fs::path path_ = folder_.path() / "network.pkl";
  Bytes whole_ = ReadFile(PathOf("edm_ddpmpp"));
};

TEST_F(DamagedEdmPickle, CutAtAnyHundredthIsRefused) {
  for (size_t percent = 0; percent < 100; ++percent) {
    SCOPED_TRACE(percent);
    ExpectRefused(Bytes(whole_.begin(), whole_.begin() + whole_.size() * percent / 100));
  }
}

TEST_F(DamagedEdmPickle, TheSentenceNamesWhatIsWrong) {
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& message) {
    WriteFile(path_, Replaced(whole_, from, to));
    EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, message);
  };
  refused("EDMPrecond", "XYZPrecond",
          "class \"XYZPrecond\", must be one of VPPrecond, VEPrecond, iDDPMPrecond, EDMPrecond");
  refused("model_channels", "model_channelz", "unknown key, did you mean model_channels?");
  refused("torch._utils", "torch._evils", "it calls \"torch._evils.");
  refused("map_layer0", "map_layer9", "map_layer9");
}

}  // namespace
}  // namespace gas
