// UniPC against the reference implementation.
#include "gas/solver/unipc.h"

#include "gas/grid/time_grid.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;

Tensor ValueOf(const LinearForm& form, const std::vector<Tensor>& states,
               const std::vector<Tensor>& predictions) {
  Tensor sum = torch::zeros_like(states[0]);
  for (size_t j = 0; j < form.x.size(); ++j) sum = sum + form.x[j] * states[j];
  for (size_t j = 0; j < form.m.size(); ++j) sum = sum + form.m[j] * predictions[j];
  return sum;
}

TEST(UniPcReference, EveryCase) {
  const Fixture fixture("solvers/unipc");
  testing::WorstError worst("unipc, x_final"), worst_state("unipc, corrected states");
  for (const json& c : fixture.cases()) {
    const testing::SolverCase on = testing::SolverCaseOf(fixture, c);
    const std::string& prefix = on.prefix;
    SCOPED_TRACE(prefix);
    const Tensor grid =
        MakeGrid(testing::ReferenceGridName(c.at("skip_type")), *on.schedule, c.at("N"), on.t_eps);
    const UniPcVariant variant = c.at("variant") == "bh1" ? UniPcVariant::kBh1 : UniPcVariant::kBh2;
    std::vector<LinearForm> corrected;
    const testing::SolverRun run =
        testing::RunCase(UniPcTable({c.at("order"), variant}, *on.schedule, grid, &corrected), on);
    EXPECT_EQ(run.evaluations, c.at("nfe").get<int64_t>());
    EXPECT_TRUE(testing::Close(run.sample, fixture.at(prefix + "/x_final"), on.tolerance, 0));
    worst.Add(run.sample, fixture.at(prefix + "/x_final"), prefix);
    if (!fixture.Has(prefix + "/states")) continue;
    const Tensor expected = fixture.at(prefix + "/states");
    ASSERT_EQ(expected.size(0), static_cast<int64_t>(corrected.size()));
    for (int64_t n = 0; n < expected.size(0); ++n) {
      const Tensor state = ValueOf(corrected[n], run.states, run.predictions);
      EXPECT_TRUE(testing::Close(state, expected[n], on.tolerance, 0)) << "state " << n;
      worst_state.Add(state, expected[n], prefix);
    }
  }
}

// A corrected state differs from its prediction by a few predictions only, so that rows do not grow with n.
TEST(UniPc, RowsStaySparse) {
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table =
      UniPcTable({3, UniPcVariant::kBh2}, *schedule, MakeGrid("logsnr", *schedule, 12, 1e-3));
  for (int64_t n = 0; n < table.nfe(); ++n) {
    EXPECT_EQ(table.a[n].count_nonzero().item<int64_t>(), 1) << "row " << n;
    EXPECT_LE(table.b[n].count_nonzero().item<int64_t>(), 4) << "row " << n;
  }
}

TEST(UniPc, BadRequestsAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("uniform", *schedule, 4, 1e-3);
  EXPECT_ERROR(UniPcTable({0, UniPcVariant::kBh1}, *schedule, grid), Errc::kBadOption,
               "order = 0, must be in [1, 3]");
  EXPECT_ERROR(UniPcTable({3, UniPcVariant::kBh1}, *schedule, grid.flip(0)), Errc::kBadOption,
               "must be below");
}

}  // namespace
}  // namespace gas
