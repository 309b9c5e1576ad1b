#include "gas/cli/quality.h"

#include <functional>

#include <fmt/format.h>

#include "gas/metrics/prdc.h"

namespace gas::cli {
namespace {

// A column of the table. `key` is that of Quality::figures, or of Quality::cost.
struct Column {
  const char* key;
  const char* heading;
  double scale;
  int decimals;  // kThreeDigits: as many as give three significant digits
  bool always;   // shown even if no row has it
};
constexpr int kThreeDigits = -1;
constexpr Column kFigures[] = {
    {"distance", "distance", 1, kThreeDigits, true},
    {"perceptual", "perceptual", 1, kThreeDigits, true},
    {"frechet", "Fréchet", 1, kThreeDigits, true},
    {"precision", "precision", 1, 3, false},
    {"recall", "recall", 1, 3, false},
    {"density", "density", 1, 3, false},
    {"coverage", "coverage", 1, 3, false},
    {"agreement", "class %", 100, 1, true},
};
constexpr Column kCosts[] = {
    {"network_evaluations", "NFE to make it", 1, 0, false},
    {"seconds", "seconds", 1, 0, false},
    {"peak_mebibytes", "peak MiB", 1, 0, false},
};

// Samples begin <= i < end of a set.
struct Block {
  int64_t begin, end;
  Tensor Of(const Tensor& all) const { return all.slice(0, begin, end); }
};

std::vector<Block> EqualBlocks(int64_t count, int64_t blocks) {
  std::vector<Block> parts;
  for (int64_t i = 0; i < blocks; ++i) parts.push_back({i * (count / blocks), (i + 1) * (count / blocks)});
  return parts;
}

Figure Over(const std::vector<Block>& blocks, const std::function<double(const Block&)>& measure) {
  std::vector<double> values;
  for (const Block& block : blocks) values.push_back(measure(block));
  const Tensor all = torch::tensor(values, torch::kFloat64);
  return {all.mean().item<double>(), values.size() > 1 ? all.std().item<double>() : 0};
}

double SquaredDifference(const Tensor& images, const Tensor& teacher) {
  return (images - teacher).square().mean().item<double>();
}

// The mean distance of pairs of images [N,C,H,W], under the key of its figure.
struct PairDistance {
  const char* key;
  std::function<double(const Tensor& images, const Tensor& teacher)> mean;
};

// Those that apply to images that fit the features or do not.
std::vector<PairDistance> PairDistances(const FeatureNetwork& network, bool fits) {
  std::vector<PairDistance> list = {{"distance", SquaredDifference}};
  if (fits) {
    list.push_back({"perceptual", [&](const Tensor& images, const Tensor& teacher) {
                      return MeanPerceptualDistance(network, images, teacher);
                    }});
  }
  return list;
}

void AddPrdc(const std::vector<Block>& blocks, const Tensor& features, const Neighbourhoods& real,
             Quality& q) {
  std::vector<Prdc> parts;
  for (const Block& block : blocks)
    parts.push_back(MeasurePrdc(real, FindNeighbourhoods(block.Of(features), real.k)));
  const std::pair<const char*, double Prdc::*> members[] = {{"precision", &Prdc::precision},
                                                            {"recall", &Prdc::recall},
                                                            {"density", &Prdc::density},
                                                            {"coverage", &Prdc::coverage}};
  for (const auto& [key, member] : members) {
    auto part = parts.begin();
    q.figures[key] = Over(blocks, [&, member = member](const Block&) { return *part++.*member; });
  }
  q.real_images = real.size();
  q.neighbours = real.k;
}

std::string Text(const Figure& figure, const Column& column) {
  const double mean = column.scale * figure.mean, spread = column.scale * figure.spread;
  int decimals = column.decimals;
  if (decimals == kThreeDigits) {
    const double magnitude = mean == 0 || !std::isfinite(mean) ? 0 : std::floor(std::log10(std::abs(mean)));
    decimals = static_cast<int>(std::clamp(2 - magnitude, 0.0, 9.0));
  }
  std::string text = fmt::format("{:.{}f}", mean, decimals);
  if (figure.spread > 0) text += fmt::format(" ± {:.{}f}", spread, decimals);
  return text;
}

// The cell of a figure or of a cost, "" if there is none.
std::string FigureCell(const Quality& q, const Column& column) {
  const auto found = q.figures.find(column.key);
  return found == q.figures.end() ? "" : Text(found->second, column);
}
std::string CostCell(const Quality& q, const Column& column) {
  return q.cost.contains(column.key) ? Text({q.cost[column.key].get<double>(), 0}, column) : "";
}

}  // namespace

Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features, const QualityOptions& options) {
  Quality q{.label = label, .nfe = nfe};
  const std::vector<Block> blocks = EqualBlocks(images.size(0), options.blocks);
  const bool fits = features.network->Fits(images);
  if (teacher.defined()) {
    for (const PairDistance& distance : PairDistances(*features.network, fits)) {
      q.figures[distance.key] =
          Over(blocks, [&](const Block& b) { return distance.mean(b.Of(images), b.Of(teacher)); });
    }
  }
  if (!fits) return q;
  const ImageFeatures seen = FeaturesOfImages(*features.network, images);
  q.figures["frechet"] = Over(blocks, [&](const Block& b) {
    return FrechetDistance(StatisticsOf(b.Of(seen.features)), {features.data_mean, features.data_covariance});
  });
  if (options.real) AddPrdc(blocks, seen.features, *options.real, q);
  if (labels.defined()) {
    const Tensor right = (seen.logits.argmax(1) == labels).to(torch::kFloat64);
    q.figures["agreement"] = Over(blocks, [&](const Block& b) { return b.Of(right).mean().item<double>(); });
  }
  return q;
}

std::string QualityTable(const std::vector<Quality>& rows) {
  std::string head = "| solver | NFE |", rule = "|---|---|";
  std::vector<std::string> lines;
  for (const Quality& q : rows) lines.push_back(fmt::format("| {} | {} |", q.label, q.nfe));
  const auto add = [&](const Column& column, std::string (*cell)(const Quality&, const Column&)) {
    const bool empty =
        std::all_of(rows.begin(), rows.end(), [&](const Quality& q) { return cell(q, column).empty(); });
    if (empty && !column.always) return;
    head += fmt::format(" {} |", column.heading);
    rule += "---|";
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string text = cell(rows[i], column);
      lines[i] += fmt::format(" {} |", text.empty() ? "-" : text);
    }
  };
  for (const Column& column : kFigures) add(column, FigureCell);
  for (const Column& column : kCosts) add(column, CostCell);
  std::string text = head + "\n" + rule + "\n";
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

nlohmann::json QualityToJson(const std::vector<Quality>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const Quality& q : rows) {
    nlohmann::json row = {{"solver", q.label}, {"nfe", q.nfe}};
    for (const auto& [key, figure] : q.figures) row[key] = {{"mean", figure.mean}, {"spread", figure.spread}};
    if (q.real_images > 0) {
      row["real_images"] = q.real_images;
      row["neighbours"] = q.neighbours;
    }
    if (!q.cost.is_null()) row["cost"] = q.cost;
    array.push_back(row);
  }
  return array;
}

}  // namespace gas::cli
