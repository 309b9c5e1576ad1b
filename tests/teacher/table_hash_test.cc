#include "gas/teacher/table_hash.h"

#include "gas/solver/registry.h"
#include "support/expect.h"

namespace gas {
namespace {

// Every number of a table counts, down to about 2^-24 of the largest of its kind, and no further: processors
// differ in the last digits.
TEST(TableHash, TellsTablesApartToSevenDigits) {
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 4, 1e-3);
  const std::string hash = TableHash(table);
  for (const auto member : {&StepTable::t, &StepTable::t_eval, &StepTable::alpha, &StepTable::sigma,
                            &StepTable::alpha_eval, &StepTable::sigma_eval, &StepTable::a, &StepTable::b}) {
    StepTable other = table;
    other.*member = (table.*member).clone();
    const double largest = (table.*member).abs().max().item<double>();
    Tensor first = (other.*member).flatten().slice(0, 0, 1);  // a view
    first.add_(1e-13 * largest);
    EXPECT_EQ(TableHash(other), hash);
    first.add_(1e-6 * largest);
    EXPECT_NE(TableHash(other), hash);
  }
  StepTable other = table;
  other.prior_std = 1.5;
  EXPECT_NE(TableHash(other), hash);
}

}  // namespace
}  // namespace gas
