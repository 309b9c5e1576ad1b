#include "gas/models/mixture/mixture.h"

#include <fstream>

#include "gas/io/file.h"
#include "gas/models/families.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using Json = nlohmann::json;

Json TwoComponents() {
  return {{"gas_mixture", 1},
          {"shape", {2, 1, 1}},
          {"schedule", {{"kind", "flow"}, {"t_eps", 1e-3}}},
          {"weights", {1, 3}},
          {"means", {{1, 0}, {-1, 0.5}}},
          {"covariances", {{{0.5, 0.2}, {0.2, 0.3}}, {{0.1, 0}, {0, 0.1}}}}};
}

// E[x0 | z] by a sum over a fine grid of x0.
Tensor ByQuadrature(const Json& m, const Tensor& z, double s) {
  const Tensor axis = torch::arange(-5, 5, 0.02, torch::kFloat64);
  const auto axes = torch::meshgrid({axis, axis}, "ij");
  const Tensor x = torch::stack({axes[0].flatten(), axes[1].flatten()}, 1);  // [G,2]
  Tensor density = torch::zeros({x.size(0)}, torch::kFloat64);
  for (int64_t k = 0; k < 2; ++k) {
    const auto& c = m["covariances"][k];
    const double a = c[0][0], b = c[0][1], d = c[1][1], det = a * d - b * b;
    const Tensor u = x.select(1, 0) - m["means"][k][0].get<double>(),
                 v = x.select(1, 1) - m["means"][k][1].get<double>();
    const Tensor form = (d * u * u - 2 * b * u * v + a * v * v) / det;
    density = density + m["weights"][k].get<double>() / std::sqrt(det) * (-0.5 * form).exp();
  }
  const Tensor likelihood = density * (-0.5 * (x - z).square().sum(1) / (s * s)).exp();
  return (likelihood.unsqueeze(1) * x).sum(0) / likelihood.sum();
}

TEST(Mixture, DenoisesAsTheIntegralSays) {
  const Json json = TwoComponents();
  const GaussianMixture mixture(json);
  for (const double s : {0.2, 1.0, 4.0}) {
    const Tensor z = torch::tensor({{0.3, -0.4}}, torch::kFloat64);
    const Tensor expected = ByQuadrature(json, z[0], s);
    // The grid of step 0.02 resolves densities of width 0.2 to about exp(-2 (pi 0.2 / 0.02)^2), its end at 5
    // cuts 1e-10.
    EXPECT_LT((mixture.Denoise(z, Scalar(s), {})[0] - expected).abs().max().item<double>(), 1e-8) << s;
  }
}

TEST(Mixture, ALabelKeepsItsComponent) {
  const GaussianMixture mixture(TwoComponents());
  const Tensor z = torch::tensor({{0.3, -0.4}, {0.3, -0.4}}, torch::kFloat64);
  const Tensor m = mixture.Denoise(z, Scalar(0.5), torch::tensor({1, -1}, torch::kInt64));
  // Component 1 is isotropic with variance 0.1: m = mean + 0.1 / (0.1 + 0.25) (z - mean).
  EXPECT_NEAR(m[0][0].item<double>(), -1 + 0.1 / 0.35 * 1.3, 1e-12);
  EXPECT_NEAR(m[0][1].item<double>(), 0.5 + 0.1 / 0.35 * -0.9, 1e-12);
  EXPECT_TRUE(m[1].equal(mixture.Denoise(z, Scalar(0.5), {})[1]));
}

TEST(Mixture, TheEmbeddedOneOpensAsAModel) {
  const Model model = OpenModel("mixture");
  EXPECT_EQ(model.shape, (std::vector<int64_t>{2, 1, 1}));
  EXPECT_TRUE(model.has_gradient);
  const Tensor x = torch::randn({3, 2, 1, 1}, torch::kFloat64);
  const NoiseLevel at{Scalar(1.0), model.schedule->Alpha(Scalar(1.0)), model.schedule->Sigma(Scalar(1.0))};
  // At pure noise nothing is known but the mean, which is 0.
  EXPECT_LT(model.denoiser->Predict(x, at, {}).abs().max().item<double>(), 0.05);
}

// 291 knots: sampling ends at the first of them unless a later time is asked for.
TEST(Mixture, SamplingEndsWhereItsScheduleDoes) {
  const testing::TempFolder folder("mixture_end");
  Json json = TwoComponents();
  const Tensor alphas = ScaledLinearAlphasCumprod(0.00015, 0.04, 291);
  const double* first = alphas.data_ptr<double>();
  json["schedule"] = {{"kind", "discrete"}, {"alphas_cumprod", std::vector<double>(first, first + 291)}};
  const std::string path = (folder.path() / "m.json").string();
  WriteFile(path, json.dump());
  EXPECT_EQ(OpenModel(path).t_eps, 1.0 / 291);
  EXPECT_EQ(OpenModel(path, {.t_eps = 0.01}).t_eps, 0.01);
  EXPECT_ERROR(OpenModel(path, {.t_eps = 1e-3}), Errc::kBadOption,
               "t_eps = 0.001, must be at least 0.003436");
}

TEST(Mixture, WhatIsWrongInAFileIsSaid) {
  const auto expect = [](const Json& json, const std::string& message) {
    EXPECT_ERROR(ParseMixtureFile("m.json", json.dump()), Errc::kBadFile, message);
  };
  const Json good = TwoComponents();
  EXPECT_ERROR(ParseMixtureFile("m.json", "{"), Errc::kBadFile, "m.json: not JSON at byte 2");
  EXPECT_ERROR(ParseMixtureFile("m.json", "{}"), Errc::kBadFile,
               "m.json: is no JSON object with the entry gas_mixture");
  EXPECT_ERROR(ParseMixtureFile("m.json", std::string(100000, '[') + std::string(100000, ']')),
               Errc::kBadFile, "m.json: JSON nested more than 64 deep");
  for (const char* key : {"shape", "schedule", "weights", "means", "covariances"}) {
    Json json = good;
    json.erase(key);
    expect(json, std::string("m.json: entry ") + key + " is missing");
  }
  Json json = good;
  json["gas_mixture"] = 2;
  expect(json, "gas_mixture = 2, must be 1");
  json = good;
  json["shape"] = {3, 1, 1};
  expect(json, "m.json: shape [3,1,1] must have 2 entries");
  json = good;
  json["weights"][0] = -1;
  expect(json, "weights must be positive");
  json = good;
  json["means"][1] = {0, 0, 0};
  expect(json, "m.json: means has a list of 3 at depth 1, must be 2");
  json = good;
  json["covariances"][0] = {{0.1, 0.2}, {0.2, 0.1}};
  expect(json, "a covariance has the eigenvalue -0.1");
  json = good;
  json["covariances"][0][0][1] = "x";
  expect(json, "covariances holds \"x\", must hold numbers");
  json = good;
  json["shape"][0] = json["shape"][0].get<double>() + 0.6;
  expect(json, ".6, must be a whole number in [1, 4096]");
  json = good;
  json["gas_mixture"] = 1.0;
  expect(json, "gas_mixture = 1.0, must be 1");
}

TEST(Mixture, AFileIsToldFromASolverFile) {
  const testing::TempFolder folder("mixture");
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder.path() / name) << text;
    return folder.path() / name;
  };
  EXPECT_EQ(FamilyOf(ModelFiles(write("m.json", TwoComponents().dump()).string())).name, "mixture");
  // By what is in the file, whatever its name.
  EXPECT_EQ(FamilyOf(ModelFiles(write("m.txt", " \n" + TwoComponents().dump()).string())).name, "mixture");
  for (const char* other : {R"({"gas_solver": 1})", "{[[", "[[[", ""}) {
    const ModelFiles files(write("other.json", other).string());
    EXPECT_ERROR(FamilyOf(files), Errc::kBadFile, "mixture: JSON with the entry gas_mixture");
  }
  EXPECT_ERROR(ModelFiles((folder.path() / "absent.json").string()), Errc::kBadFile,
               "absent.json: not there");
}

}  // namespace
}  // namespace gas
