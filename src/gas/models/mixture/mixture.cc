#include "gas/models/mixture/mixture.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMost = 4096;  // components, and dimensions

// A list of lists ... of numbers with these sizes (-1: whatever there is) as a float64 tensor.
Tensor Numbers(const Json& json, const char* key, std::vector<int64_t> sizes, const std::string& where) {
  GAS_CHECK(json.is_object() && json.contains(key), Errc::kBadFile, where, ": entry ", key, " is missing");
  std::vector<double> flat;
  const std::function<void(const Json&, size_t)> collect = [&](const Json& value, size_t depth) {
    if (depth == sizes.size()) {
      GAS_CHECK(value.is_number(), Errc::kBadFile, where, ": ", key, " holds ", Shown(value),
                ", must hold numbers");
      flat.push_back(value.get<double>());
      return;
    }
    const int64_t size = value.is_array() ? static_cast<int64_t>(value.size()) : -1;
    if (sizes[depth] < 0) sizes[depth] = size;
    GAS_CHECK(size == sizes[depth] && size >= 1 && size <= kMost, Errc::kBadFile, where, ": ", key,
              " has a list of ", size, " at depth ", depth, ", must be ", sizes[depth], " and in [1, ", kMost,
              "]");
    for (const Json& part : value) collect(part, depth + 1);
  };
  collect(json[key], 0);
  const Tensor numbers = torch::tensor(flat, torch::kFloat64).view(sizes);
  GAS_CHECK(numbers.isfinite().all().item<bool>(), Errc::kBadFile, where, ": ", key, " must be finite");
  return numbers;
}

std::vector<int64_t> ShapeOf(const Json& json, const std::string& where) {
  GAS_CHECK(json.contains("shape"), Errc::kBadFile, where, ": entry shape is missing");
  GAS_CHECK(json["shape"].is_array() && json["shape"].size() == 3, Errc::kBadFile, where,
            ": entry shape must be a list of three numbers");
  std::vector<int64_t> shape;
  for (const Json& size : json["shape"]) shape.push_back(WholeNumber(where + ": shape", size, 1, kMost));
  return shape;
}

}  // namespace

GaussianMixture::GaussianMixture(const Json& mixture, const std::string& where) {
  const Tensor weights = Numbers(mixture, "weights", {-1}, where);
  means_ = Numbers(mixture, "means", {weights.size(0), -1}, where);
  const int64_t d = dimensions();
  const Tensor covariances = Numbers(mixture, "covariances", {weights.size(0), d, d}, where);
  GAS_CHECK((weights > 0).all().item<bool>(), Errc::kBadFile, where, ": weights must be positive");
  GAS_CHECK(covariances.allclose(covariances.transpose(1, 2)), Errc::kBadFile, where,
            ": covariances must be symmetric");
  log_weights_ = (weights / weights.sum()).log();
  std::tie(variances_, axes_) = torch::linalg_eigh(covariances, "L");
  const double least = variances_.min().item<double>();
  GAS_CHECK(least >= -1e-12 * variances_.max().item<double>(), Errc::kBadFile, where,
            ": a covariance has the eigenvalue ", least, ", must be at least 0");
  variances_.clamp_min_(0);
}

Tensor GaussianMixture::Denoise(const Tensor& z, const Tensor& s, const Tensor& labels) const {
  const auto like = [&](const Tensor& v) { return ToLike(v, z); };
  const Tensor flat = z.reshape({z.size(0), 1, -1, 1});  // [B,1,D,1]
  const Tensor means = like(means_), axes = like(axes_), variances = like(variances_);
  const Tensor deviation = flat - means.unsqueeze(-1);                          // [B,K,D,1]
  const Tensor y = torch::matmul(axes.transpose(1, 2), deviation).squeeze(-1);  // [B,K,D]
  const Tensor total = variances + like(s * s);                                 // [K,D]
  Tensor logits = like(log_weights_) - 0.5 * total.log().sum(-1) - 0.5 * (y * y / total).sum(-1);
  if (labels.defined()) {
    const Tensor component = torch::arange(log_weights_.size(0), labels.options());
    const Tensor excluded = (labels.unsqueeze(1) >= 0) & (labels.unsqueeze(1) != component);  // [B,K]
    logits = logits.masked_fill(excluded, -std::numeric_limits<double>::infinity());
  }
  const Tensor mean = means + torch::matmul(axes, (variances / total * y).unsqueeze(-1)).squeeze(-1);
  return (torch::softmax(logits, 1).unsqueeze(-1) * mean).sum(1).reshape(z.sizes());
}

Tensor MixtureDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  return mixture_.Denoise(x / ToLike(at.alpha, x), at.sigma / at.alpha, condition.labels);
}

MixtureFile ParseMixtureFile(const std::string& name, std::string_view text) {
  const Json json = ParseJson(name, text);
  GAS_CHECK(json.is_object() && json.contains(kMixtureKey), Errc::kBadFile, name,
            ": is no JSON object with the entry gas_mixture, so this is not a model file of this program");
  GAS_CHECK(json[kMixtureKey].is_number_integer() && json[kMixtureKey] == 1, Errc::kBadFile, name,
            ": gas_mixture = ", Shown(json[kMixtureKey]), ", must be 1");
  MixtureFile file{GaussianMixture(json, name), {}, nullptr};
  file.shape = ShapeOf(json, name);
  GAS_CHECK(file.shape[0] * file.shape[1] * file.shape[2] == file.mixture.dimensions(), Errc::kBadFile, name,
            ": shape ", Shown(json["shape"]), " must have ", file.mixture.dimensions(), " entries");
  GAS_CHECK(json.contains("schedule"), Errc::kBadFile, name, ": entry schedule is missing");
  file.schedule = ScheduleFromJson(json["schedule"]);
  return file;
}

}  // namespace gas
