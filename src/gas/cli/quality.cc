#include "gas/cli/quality.h"

#include <fmt/format.h>

#include <functional>

#include "gas/models/features/perceptual.h"

namespace gas::cli {
namespace {

bool SameShape(const Tensor& images, const ClassifierConfig& c) {
  return images.size(1) == c.channels && images.size(2) == c.resolution && images.size(3) == c.resolution;
}

Figure FigureOf(const std::vector<double>& values) {
  const Tensor all = torch::tensor(values, torch::kFloat64);
  return {all.mean().item<double>(), values.size() > 1 ? all.std().item<double>() : 0};
}

// Calls measure(begin, end) for each of `blocks` equal parts of `count` samples.
Figure OverBlocks(int64_t count, int64_t blocks, const std::function<double(int64_t, int64_t)>& measure) {
  std::vector<double> values;
  for (int64_t i = 0; i < blocks; ++i) values.push_back(measure(i * (count / blocks), (i + 1) * (count / blocks)));
  return FigureOf(values);
}

double Perceptual(Classifier& network, const Tensor& images, const Tensor& teacher) {
  torch::NoGradGuard no_grad;
  double sum = 0;
  for (int64_t begin = 0; begin < images.size(0); begin += 128) {
    const auto embedded = [&](const Tensor& all) { return PerceptualEmbedding(network, all.slice(0, begin, begin + 128)); };
    sum += (embedded(images) - embedded(teacher)).square().sum().item<double>();
  }
  return sum / static_cast<double>(images.size(0));
}

std::string Text(const std::optional<Figure>& figure, double scale, int digits, const char* unit) {
  if (!figure) return "-";
  std::string text = fmt::format("{:.{}f}", scale * figure->mean, digits);
  if (figure->spread > 0) text += fmt::format(" ± {:.{}f}", scale * figure->spread, digits);
  return text + unit;
}

}  // namespace

Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features, int64_t blocks) {
  Quality q{.label = label, .nfe = nfe};
  const auto over = [&](const std::function<double(int64_t, int64_t)>& measure) {
    return OverBlocks(images.size(0), blocks, measure);
  };
  const auto part = [](const Tensor& all, int64_t begin, int64_t end) { return all.slice(0, begin, end); };
  if (teacher.defined()) {
    q.distance = over([&](int64_t begin, int64_t end) {
      return (part(images, begin, end) - part(teacher, begin, end)).square().mean().item<double>();
    });
  }
  Classifier& network = *features.network;
  if (!SameShape(images, network.config())) return q;
  if (teacher.defined()) {
    q.perceptual = over([&](int64_t begin, int64_t end) {
      return Perceptual(network, part(images, begin, end), part(teacher, begin, end));
    });
  }
  q.frechet = over([&](int64_t begin, int64_t end) {
    return FrechetDistance(ImageStatistics(network, part(images, begin, end)),
                           {features.data_mean, features.data_covariance});
  });
  if (labels.defined()) {
    q.agreement = over([&](int64_t begin, int64_t end) {
      return LabelAgreement(network, part(images, begin, end), part(labels, begin, end));
    });
  }
  return q;
}

std::string QualityTable(const std::vector<Quality>& rows) {
  const bool costs = std::any_of(rows.begin(), rows.end(), [](const Quality& q) { return q.cost.is_object(); });
  std::string text = "| solver | evaluations | distance to teacher | perceptual | Fréchet distance | class as asked |";
  if (costs) text += " evaluations to make it | seconds | peak MiB |";
  text += "\n|---|---|---|---|---|---|";
  if (costs) text += "---|---|---|";
  text += "\n";
  for (const Quality& q : rows) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} |", q.label, q.nfe, Text(q.distance, 1, 5, ""),
                        Text(q.perceptual, 1, 4, ""), Text(q.frechet, 1, 4, ""), Text(q.agreement, 100, 1, " %"));
    for (const char* key : {"network_evaluations", "seconds", "peak_mebibytes"}) {
      if (costs) text += q.cost.contains(key) ? fmt::format(" {:.0f} |", q.cost[key].get<double>()) : " - |";
    }
    text += "\n";
  }
  return text;
}

nlohmann::json QualityToJson(const std::vector<Quality>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const Quality& q : rows) {
    nlohmann::json row = {{"solver", q.label}, {"nfe", q.nfe}};
    const auto add = [&](const char* name, const std::optional<Figure>& figure) {
      if (figure) row[name] = {{"mean", figure->mean}, {"spread", figure->spread}};
    };
    add("distance", q.distance);
    add("perceptual", q.perceptual);
    add("frechet", q.frechet);
    add("agreement", q.agreement);
    if (!q.cost.is_null()) row["cost"] = q.cost;
    array.push_back(row);
  }
  return array;
}

}  // namespace gas::cli
