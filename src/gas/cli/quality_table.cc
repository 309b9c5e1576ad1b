#include "gas/cli/quality_table.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace gas::cli {
namespace {

// A column of the table. `key` is that of Quality::figures, or of Quality::cost.
struct Column {
  const char* key;
  const char* heading;
  double scale;
  int decimals;  // kThreeDigits: as many as give three significant digits
};
constexpr int kThreeDigits = -1;
constexpr Column kFigures[] = {
    {"distance", "distance", 1, kThreeDigits},
    {"psnr", "PSNR dB", 1, 2},
    {"ms_ssim", "MS-SSIM", 1, 4},
    {"lpips", "LPIPS", 1, kThreeDigits},
    {"perceptual", "perceptual", 1, kThreeDigits},
    {"frechet", "Fréchet", 1, kThreeDigits},
    {"precision", "precision", 1, 3},
    {"recall", "recall", 1, 3},
    {"density", "density", 1, 3},
    {"coverage", "coverage", 1, 3},
    {"agreement", "class %", 100, 1},
};
constexpr Column kCosts[] = {
    {"network_evaluations", "NFE to make it", 1, 0},
    {"seconds", "seconds", 1, 0},
    {"peak_mebibytes", "peak MiB", 1, 0},
};

// Numbers of three digits that need more decimals than this are scientific.
constexpr double kMostDecimals = 6;

// Mean and spread with the same number of digits behind the point.
std::string MeanAndSpread(const Figure& figure, double scale, const char* format, int digits) {
  std::string text = fmt::format(fmt::runtime(format), scale * figure.mean, digits);
  if (figure.spread > 0) text += " ± " + fmt::format(fmt::runtime(format), scale * figure.spread, digits);
  return text;
}

std::string Text(const Figure& figure, const Column& column) {
  const double mean = column.scale * figure.mean;
  if (column.decimals != kThreeDigits) return MeanAndSpread(figure, column.scale, "{:.{}f}", column.decimals);
  const double magnitude = mean == 0 || !std::isfinite(mean) ? 0 : std::floor(std::log10(std::abs(mean)));
  const double decimals = std::max(2 - magnitude, 0.0);
  if (decimals > kMostDecimals) return MeanAndSpread(figure, column.scale, "{:.{}e}", 2);
  return MeanAndSpread(figure, column.scale, "{:.{}f}", static_cast<int>(decimals));
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

std::string QualityTable(const std::vector<Quality>& rows) {
  std::string head = "| solver | NFE |", rule = "|---|---|";
  std::vector<std::string> lines;
  for (const Quality& q : rows) lines.push_back(fmt::format("| {} | {} |", q.label, q.nfe));
  const auto add = [&](const Column& column, std::string (*cell)(const Quality&, const Column&)) {
    const bool empty =
        std::all_of(rows.begin(), rows.end(), [&](const Quality& q) { return cell(q, column).empty(); });
    if (empty) return;
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

}  // namespace gas::cli
