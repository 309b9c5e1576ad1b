// Packages of AOTInductor: what their call specification says, and, where a PyTorch is at hand that compiles
// one, the network itself beside the same one as TorchScript.
#include "gas/models/torchscript/compiled_module.h"

#include <cstdlib>

#include "gas/io/file.h"
#include "gas/models/model.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesOf(const std::vector<ModuleArgument>& arguments) {
  std::vector<std::string> names;
  for (const ModuleArgument& argument : arguments) names.push_back(argument.name);
  return names;
}

constexpr const char* kLeaf = R"({"type": null, "context": null, "children_spec": []})";

std::string Spec(const std::string& by_position, const std::string& keys, const std::string& by_keyword) {
  return R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [
             {"type": "builtins.tuple", "context": "null", "children_spec": [)" +
         by_position + R"(]}, {"type": "builtins.dict", "context": ")" + keys + R"(", "children_spec": [)" +
         by_keyword + "]}]}]";
}

TEST(CompiledCallSpec, NamesArguments) {
  const std::string leaf = kLeaf;
  EXPECT_THAT(NamesOf(ParseCallSpec("p", Spec(leaf + "," + leaf, "[]", ""))),
              ::testing::ElementsAre("0", "1"));
  EXPECT_THAT(NamesOf(ParseCallSpec("p", Spec(leaf, R"([\"t\", \"y\"])", leaf + "," + leaf))),
              ::testing::ElementsAre("0", "t", "y"));
}

TEST(CompiledCallSpec, RefusesWhatItCannotCall) {
  const std::string leaf = kLeaf;
  const std::string list = R"({"type": "builtins.list", "context": "null", "children_spec": [)" + leaf + "]}";
  EXPECT_ERROR(ParseCallSpec("p", Spec(list, "[]", "")), Errc::kBadFile,
               "p: its argument 0 is not one tensor");
  EXPECT_ERROR(ParseCallSpec("p", Spec(leaf, R"([\"t\"])", leaf + "," + leaf)), Errc::kBadFile,
               "p: 1 keywords for 2 arguments");
  EXPECT_ERROR(ParseCallSpec("p", Spec(leaf, "7", leaf)), Errc::kBadFile, "p: the keywords");
  EXPECT_ERROR(ParseCallSpec("p", "[2, {}]"), Errc::kBadFile, "must be of version 1");
  EXPECT_ERROR(ParseCallSpec("p", "[1, 3]"), Errc::kBadFile, "must be an object");
  EXPECT_ERROR(ParseCallSpec("p", "[1, {}]"), Errc::kBadFile, "children_spec");
  EXPECT_ERROR(ParseCallSpec("p", "x"), Errc::kBadFile, "p: ");
}

// Writes net.pt2 and net.pt, the same network, and a card for both.
constexpr const char* kExport = R"(
import sys, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(16, 3, 3, padding=1)
        self.t = torch.nn.Linear(1, 16)
    def forward(self, x, t):
        return self.b(torch.tanh(self.a(x) + self.t(t[:, None])[:, :, None, None]))
torch.manual_seed(0)
net, rows = Net().eval(), torch.export.Dim("rows", min=1, max=64)
inputs = (torch.randn(2, 3, 8, 8), torch.rand(2))
with torch.no_grad():
    program = torch.export.export(net, inputs, dynamic_shapes=({0: rows}, {0: rows}))
    torch._inductor.aoti_compile_and_package(program, package_path=sys.argv[1] + "/net.pt2")
    torch.jit.save(torch.jit.trace(net, inputs), sys.argv[1] + "/script.pt")
)";

class CompiledNetwork : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* python = std::getenv("GAS_TORCH_PYTHON");
    if (python == nullptr) return;
    folder_ = new testing::TempFolder("compiled");
    WriteFile(folder_->path() / "export.py", std::string(kExport));
    const std::string card = R"({"gas_network": 1, "name": "tiny", "shape": [3, 8, 8], "prediction": "noise",
        "schedule": {"kind": "vp-linear", "beta_0": 0.1, "beta_1": 20.0, "t_eps": 0.001}})";
    WriteFile(folder_->path() / "net.json", card);
    WriteFile(folder_->path() / "script.json", card);
    const std::string command = "TORCHINDUCTOR_CACHE_DIR=" + folder_->path().string() + "/cache " + python +
                                " " + (folder_->path() / "export.py").string() + " " +
                                folder_->path().string() + " > " + (folder_->path() / "log").string() +
                                " 2>&1";
    exported_ = std::system(command.c_str()) == 0;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  void SetUp() override {
    if (folder_ == nullptr) GTEST_SKIP() << "GAS_TORCH_PYTHON names no PyTorch that compiles networks";
    ASSERT_TRUE(exported_) << TextOf("log");
  }
  static std::string TextOf(const char* file) {
    const Bytes bytes = ReadFile(folder_->path() / file);
    return {bytes.data(), bytes.size()};
  }
  static Model Open(const char* file, const ModelOptions& options = {}) {
    return OpenModel((folder_->path() / file).string(), options);
  }
  static NoiseLevel LevelOf(const Model& model) {
    const Tensor t = Scalar(0.4);
    return {t, model.schedule->Alpha(t), model.schedule->Sigma(t)};
  }

  static testing::TempFolder* folder_;
  static bool exported_;
};

testing::TempFolder* CompiledNetwork::folder_ = nullptr;
bool CompiledNetwork::exported_ = false;

TEST_F(CompiledNetwork, IsTheScriptedOne) {
  const Model compiled = Open("net.json"), script = Open("script.pt");
  EXPECT_FALSE(compiled.has_gradient);
  for (const int64_t batch : {1, 2, 5}) {
    const Tensor x = torch::randn({batch, 3, 8, 8});
    const Tensor out = compiled.denoiser->Predict(x, LevelOf(compiled), {});
    // Products of 27 to 144 terms near 1 in another order.
    EXPECT_TRUE(testing::Close(out, script.denoiser->Predict(x, LevelOf(script), {}), 1e-5, 1e-5));
  }
}

TEST_F(CompiledNetwork, RefusesGradientsAndBfloat16) {
  const Model model = Open("net.pt2");
  EXPECT_ERROR(model.denoiser->Predict(torch::randn({2, 3, 8, 8}).requires_grad_(), LevelOf(model), {}),
               Errc::kBadOption, "the network of tiny gives no gradient");
  EXPECT_ERROR(Open("net.pt2", {.dtype = torch::kBFloat16}), Errc::kBadOption,
               "must be float32 for a compiled network");
}

TEST_F(CompiledNetwork, ComplainsOfAForeignState) {
  const Model model = Open("net.pt2");
  EXPECT_ERROR(model.denoiser->Predict(torch::randn({65, 3, 8, 8}), LevelOf(model), {}), Errc::kBadFile,
               "its network fails");
}

}  // namespace
}  // namespace gas
