#include "gas/importers/dyweight.h"

#include <cmath>

#include "gas/core/error.h"
#include "gas/importers/file_numbers.h"
#include "gas/importers/scaled_form.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/pickle_json.h"
#include "gas/io/torch_tensors.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// What the sampler adds to a level before it divides by it.
constexpr double kGuard = 1e-8;
// Where sampling ends on the times of latent models (its CFGPrecond.epsilon_t), and of its schedule
// time_uniform.
constexpr double kLatentEnd = 1e-3;

// What a file says of a solver, with lists of S steps.
struct Weights {
  std::vector<std::vector<double>> rows;  // row n: of derivatives 0..n
  std::vector<double> scales;             // of the level that the network is told, for each evaluation
};

std::vector<std::vector<double>> LowerRows(const Tensor& matrix, const std::string& file) {
  const int64_t steps = matrix.dim() == 2 ? matrix.size(0) : 0;
  GAS_CHECK(steps >= 1 && steps <= kMostImportedSteps && matrix.size(1) == steps, Errc::kBadFile, file,
            ": its weights have shape ", matrix.sizes(), ", must be [S,S] with S in [1, ", kMostImportedSteps,
            "]");
  std::vector<std::vector<double>> rows;
  for (int64_t n = 0; n < steps; ++n) rows.push_back(NumbersOf(matrix[n].slice(0, 0, n + 1)));
  return rows;
}

double SumOf(const std::vector<double>& row) {
  double sum = 0;
  for (const double weight : row) sum += weight;
  return sum;
}

// ---- snapshots of pixel and latent models

// An attribute of the object in `entry` of the file, as JSON; null if there is none.
Json Attribute(const TorchFile& file, std::string_view entry, std::string_view name) {
  const PickleRef object = ValueOf(*file.root().If<PickleDict>(), entry);
  const PickleDict* attributes = object == nullptr ? nullptr : file.AttributesOf(*object);
  const PickleRef value = attributes == nullptr ? nullptr : ValueOf(*attributes, name);
  return value == nullptr ? Json() : PlainJson(file, *value, name);
}

double RealAttribute(const TorchFile& file, std::string_view name) {
  const Json value = Attribute(file, "loss_fn", name);
  GAS_CHECK(value.is_number(), Errc::kBadFile, file.name(), ": loss_fn.", name, " is not a number");
  return value.get<double>();
}

Weights WeightsOf(const std::shared_ptr<const TorchFile>& file, bool afs) {
  const TorchTensors tensors(file, {"predictor"});
  const Tensor weights = FiniteTensor(tensors, "hybrid_weights"), mask = FiniteTensor(tensors, "mask");
  GAS_CHECK(mask.sizes() == weights.sizes(), Errc::kBadFile, file->name(), ": mask has shape ", mask.sizes(),
            ", hybrid_weights ", weights.sizes());
  Weights result{.rows = LowerRows(weights * mask, file->name()), .scales = {}};
  const size_t evaluations = result.rows.size() - (afs ? 1 : 0);
  GAS_CHECK(evaluations >= 1, Errc::kBadFile, file->name(), ": no step evaluates the network");
  if (tensors.tensors().count("t_scale") == 0) {
    result.scales.assign(evaluations, 1);
    return result;
  }
  result.scales = NumbersOf(FiniteTensor(tensors, "t_scale"));
  GAS_CHECK(result.scales.size() == evaluations, Errc::kBadFile, file->name(), ": t_scale has ",
            result.scales.size(), " numbers, must be ", evaluations);
  return result;
}

// Its levels, S + 1 of them, descending. Latent models begin and end where their times do, whatever the file
// says: so does the program that samples with it.
class Levels {
 public:
  Levels(const TorchFile& file, const NoiseSchedule& schedule)
      : schedule_(schedule), file_(file.name()), rho_(RealAttribute(file, "schedule_rho")) {
    const Json type = Attribute(file, "loss_fn", "schedule_type");
    GAS_CHECK(type.is_string() && rho_ > 0, Errc::kBadFile, file_,
              ": loss_fn.schedule_type and schedule_rho are no schedule");
    type_ = type.get<std::string>();
    if (schedule.timesteps()) {
      first_ = SigmaAt(schedule.t_start());
      last_ = SigmaAt(kLatentEnd);
    } else {
      first_ = RealAttribute(file, "sigma_max");
      last_ = RealAttribute(file, "sigma_min");
    }
    GAS_CHECK(last_ > 0 && first_ > last_ && std::isfinite(first_), Errc::kBadFile, file_, ": levels from ",
              first_, " to ", last_, ", must descend and stay above 0");
  }

  std::vector<double> Of(int64_t steps) const {
    std::vector<double> levels;
    for (int64_t i = 0; i <= steps; ++i)
      levels.push_back(At(static_cast<double>(i) / static_cast<double>(steps)));
    return levels;
  }
  double last() const { return last_; }

 private:
  double SigmaAt(double t) const { return std::exp(-schedule_.HalfLogSnr(t)); }
  static double Between(double from, double to, double share) { return from + share * (to - from); }

  double At(double share) const {
    if (type_ == "polynomial") {
      return std::pow(Between(std::pow(first_, 1 / rho_), std::pow(last_, 1 / rho_), share), rho_);
    }
    if (type_ == "logsnr") return std::exp(Between(std::log(first_), std::log(last_), share));
    if (type_ == "discrete") {
      const double from = TimeOfSigma(schedule_, first_), to = TimeOfSigma(schedule_, last_);
      return SigmaAt(std::pow(Between(from, std::pow(to, 1 / rho_), share), rho_));
    }
    GAS_CHECK(type_ == "time_uniform", Errc::kBadFile, file_, ": schedule_type ", type_,
              ", must be polynomial, logsnr, time_uniform or discrete");
    const double power_first = std::log1p(first_ * first_), power_last = std::log1p(last_ * last_);
    const double slope = 2 * (power_last / kLatentEnd - power_first) / (kLatentEnd - 1);
    const double t = std::pow(Between(1, std::pow(kLatentEnd, 1 / rho_), share), rho_);
    return std::sqrt(std::expm1(slope * t * t / 2 + (power_first - slope / 2) * t));
  }

  const NoiseSchedule& schedule_;
  std::string file_, type_;
  double rho_, first_ = 0, last_ = 0;
};

std::optional<double> GuidanceOf(const TorchFile& file, const ImportRequest& request) {
  const Json type = Attribute(file, "predictor", "guidance_type"),
             rate = Attribute(file, "predictor", "guidance_rate");
  const bool guided = type == "cfg" && rate.is_number();
  GAS_CHECK(type.is_null() || type == "uncond" || guided, Errc::kBadFile, file.name(), ": guidance of type ",
            type.dump(), " cannot be held, only classifier-free guidance");
  const double scale = guided ? rate.get<double>() : 1;
  GAS_CHECK(request.guidance.value_or(scale) == scale, Errc::kBadOption,
            "model.guidance = ", *request.guidance, ": ", file.name(), " was trained with ", scale);
  return scale;
}

// The network's level `told` at the sampler's level `level`: positive, as the sampler takes it.
double LevelTold(const std::string& file, size_t evaluation, double scale, double level) {
  const double told = std::abs(scale * level);
  GAS_CHECK(told > 0 && std::isfinite(told), Errc::kBadFile, file, ": evaluation ", evaluation,
            " tells the network the level ", told, ", which a table cannot hold");
  return told;
}

LinearForm Combined(const std::vector<double>& weights, const std::vector<LinearForm>& derivatives) {
  LinearForm sum;
  for (size_t j = 0; j < weights.size(); ++j) sum += weights[j] * derivatives[j];
  return sum;
}

// The analytic first step: its derivative is x / sqrt(1 + sigma^2), so that state and derivative after it
// are multiples of the noise.
struct FirstState {
  double std = 0, derivative = 0, level = 0;
};

FirstState AnalyticFirstStep(double weight, double from, double to, const std::string& file) {
  const double derivative = from / std::sqrt(1 + from * from), move = weight * (to - from);
  GAS_CHECK(std::abs(from + move * derivative) > 0, Errc::kBadFile, file,
            ": its first step leaves nothing of the noise");
  return {.std = from + move * derivative, .derivative = derivative, .level = from + move};
}

// dyweight_sampler of the repository's solvers.py: x' = x + (sigma' - s) sum_j w_j d_j with the derivatives
// d_j = (x_j - D_j) / s_j, after which the level is s + (sigma' - s) sum_j w_j; the network is told
// |scale s|.
StepTable TableOf(const Weights& weights, const std::vector<double>& levels, bool afs,
                  const SolverTarget& target, const std::string& file) {
  ScaledForm form(*target.schedule);
  FirstState first{.std = levels[0], .level = levels[0]};
  if (afs) first = AnalyticFirstStep(weights.rows[0][0], levels[0], levels[1], file);
  std::vector<LinearForm> derivatives;
  LinearForm state;
  double level = first.level;
  for (size_t n = afs ? 1 : 0; n < weights.rows.size(); ++n) {
    const size_t evaluation = n - (afs ? 1 : 0);
    const double told = LevelTold(file, evaluation, weights.scales[evaluation], level);
    const ScaledForm::Point point =
        evaluation == 0 ? form.Start(first.std, told) : form.Evaluate(state, told);
    if (evaluation == 0 && afs) derivatives.push_back((first.derivative / first.std) * point.x);
    derivatives.push_back((told / (level + kGuard)) * point.noise);
    const double step = levels[n + 1] - level;
    state = point.x + step * Combined(weights.rows[n], derivatives);
    level += step * SumOf(weights.rows[n]);
  }
  return form.Finish(state, target.t_eps, "dyweight");
}

// ---- rectified flow

// Of FLUX.1 for 1024 x 1024 images: 4096 tokens, at which its shift mu is 1.15. FLUX's scheduler maps the
// levels 1, (S-1)/S, ..., 1/S to e^mu / (e^mu + 1/level - 1), and ends at 0.
std::vector<double> FluxLevels(size_t steps) {
  const double shift = std::exp(1.15);
  std::vector<double> levels;
  for (size_t n = 0; n < steps; ++n) {
    const double level = 1 - static_cast<double>(n) / static_cast<double>(steps);
    levels.push_back(shift / (shift + 1 / level - 1));
  }
  levels.push_back(0);
  return levels;
}

// The same sampler with the flow as derivative: x = (1 - t) x_0 + t eps is the state itself, and m = x - t F.
StepTable FlowTableOf(const Weights& weights, const std::vector<double>& levels, const SolverTarget& target,
                      const std::string& file) {
  TableBuilder builder(*target.schedule);
  std::vector<LinearForm> derivatives;
  LinearForm state;
  double level = levels[0];
  for (size_t n = 0; n < weights.rows.size(); ++n) {
    const double told = LevelTold(file, n, weights.scales[n], level);
    const Evaluation at = n == 0 ? builder.Start(told) : builder.Evaluate(state, told);
    derivatives.push_back((1 / told) * (at.x - at.m));
    const double step = levels[n + 1] - level;
    state = at.x + step * Combined(weights.rows[n], derivatives);
    level += step * SumOf(weights.rows[n]);
  }
  return builder.Finish(state, target.t_eps, "dyweight");
}

void CheckEvaluations(const ImportRequest& request, const StepTable& table, const std::string& file) {
  GAS_CHECK(request.nfe.value_or(table.nfe()) == table.nfe(), Errc::kBadOption, "import.nfe = ", *request.nfe,
            ": ", file, " makes ", table.nfe(), " evaluations");
}

}  // namespace

bool IsDyWeight(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  const PickleRef predictor = dict == nullptr ? nullptr : ValueOf(*dict, "predictor");
  return predictor != nullptr && ValueOf(*dict, "loss_fn") != nullptr &&
         file.ClassOf(*predictor).ends_with("DyWeight_predictor");
}

ImportedSolver ReadDyWeight(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request) {
  const Json afs_value = Attribute(*file, "predictor", "afs");
  GAS_CHECK(afs_value.is_boolean(), Errc::kBadFile, file->name(), ": predictor.afs is not true or false");
  const bool afs = afs_value.get<bool>();
  const Weights weights = WeightsOf(file, afs);
  const std::optional<double> guidance = GuidanceOf(*file, request);
  // The levels' range depends on the schedule, and the end of sampling on the range.
  const SolverTarget known = request.target({}, guidance);
  const SolverTarget target =
      TargetEndingAt(request, Levels(*file, *known.schedule).last(), guidance, file->name());
  const auto steps = static_cast<int64_t>(weights.rows.size());
  SolverEntry entry{
      .table = TableOf(weights, Levels(*file, *target.schedule).Of(steps), afs, target, file->name()),
      .t_eps = target.t_eps};
  CheckEvaluations(request, entry.table, file->name());
  entry.provenance["imported"] = {{"afs", afs},
                                  {"schedule_type", Attribute(*file, "loss_fn", "schedule_type")},
                                  {"dataset", Attribute(*file, "loss_fn", "dataset_name")}};
  return {target, std::move(entry)};
}

bool IsDyWeightFlow(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  return dict != nullptr && ValueOf(*dict, "dyweight_weights_raw") != nullptr &&
         ValueOf(*dict, "dyweight_t_scales") != nullptr;
}

ImportedSolver ReadDyWeightFlow(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request) {
  const TorchTensors tensors(file);
  const Weights weights{.rows = LowerRows(FiniteTensor(tensors, "dyweight_weights_raw"), file->name()),
                        .scales = NumbersOf(FiniteTensor(tensors, "dyweight_t_scales"))};
  GAS_CHECK(weights.scales.size() == weights.rows.size(), Errc::kBadFile, file->name(), ": ",
            weights.scales.size(), " scales of ", weights.rows.size(), " steps");
  const SolverTarget target = request.target(request.t_eps, request.guidance);
  GAS_CHECK(target.schedule->ToJson().at("kind") == "flow", Errc::kBadOption, file->name(),
            ": is for rectified flow, not for schedule ", target.schedule->ToJson().at("kind").dump());
  SolverEntry entry{.table = FlowTableOf(weights, FluxLevels(weights.rows.size()), target, file->name()),
                    .t_eps = target.t_eps};
  CheckEvaluations(request, entry.table, file->name());
  entry.provenance["imported"] = {{"levels", "of FLUX.1 for 1024 x 1024 images"}};
  return {target, std::move(entry)};
}

}  // namespace gas
