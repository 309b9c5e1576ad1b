// Conditions of teacher data: kept in the folder whole, and what every reader of it samples with.
#include <cmath>

#include "gas/eval/evaluate.h"
#include "gas/fit/trajectories.h"
#include "gas/solver/registry.h"
#include "gas/teacher/shard.h"
#include "gas/train/training_pairs.h"
#include "gas/train/validation.h"
#include "support/expect.h"
#include "support/temp_folder.h"
#include "support/told_text.h"

namespace gas {
namespace {

using testing::SameBits;

class StoredConditions : public ::testing::Test {
 protected:
  StoredConditions() {
    const TeacherSpec spec{.model = model_.name,
                           .model_sha256 = model_.sha256,
                           .solver = "ddim",
                           .grid = "logsnr",
                           .nfe = 3,
                           .states = true,
                           .shape = model_.shape,
                           .dtype = "float32"};
    WriteTeacherData(folder_.path(), spec, model_, table_, SeedRange(0, 10), {.batch = 3, .shard_size = 4});
  }

  TeacherData Data() const { return TeacherData(folder_.path()); }

  static Tensor TextOf(const std::vector<Seed>& seeds) {
    return testing::TextConditioner(0).Of(RequestsFor(seeds)).tensors.at("text");
  }

  testing::TempFolder folder_{"conditions"};
  Model model_ = testing::TextModel();
  // The same network told of other texts: who takes the stored ones does not notice.
  Model other_ = testing::TextModel(/*offset=*/5);
  StepTable table_ = MakeSolverTable("ddim", *model_.schedule, "logsnr", 3, 1e-3);
};

TEST_F(StoredConditions, AreReadWithTheSamplesThatTheyBelongTo) {
  const Samples read = Data().Read({9, 0, 5});
  ASSERT_EQ(read.condition.tensors.size(), 1u);
  EXPECT_FALSE(read.condition.labels.defined());
  EXPECT_TRUE(SameBits(read.condition.tensors.at("text"), TextOf({9, 0, 5})));
  EXPECT_TRUE(ReadShard(folder_.path(), ReadSidecars(folder_.path())[0]).contains("condition.text"));
}

TEST_F(StoredConditions, OfSomeShardsAndNotOfOthersAreAnError) {
  Samples last = Data().Read({8, 9});
  last.condition = {};
  WriteShard(folder_.path(), {8, 9}, last);
  EXPECT_NO_THROW(Data().Read({0, 7}));
  EXPECT_ERROR(Data().Read({0, 9}), Errc::kBadFile,
               "tensor condition.text is in some shards and not in others");
}

TEST_F(StoredConditions, OfAnotherNumberOfRowsAreAnError) {
  Samples last = Data().Read({8, 9});
  last.condition.tensors["text"] = TextOf({8, 9, 10});
  WriteShard(folder_.path(), {8, 9}, last);
  EXPECT_ERROR(Data().Read({9}), Errc::kBadFile,
               "tensor condition.text has shape [3, 2, 3], must have 2 rows");
}

TEST_F(StoredConditions, ReachTrainingAndValidation) {
  const TeacherData data = Data();
  EXPECT_TRUE(SameBits(PairsOf(data, 2, 10).read({0, 7}).condition.tensors.at("text"), TextOf({2, 9})));
  const TrainingPairs in_memory = PairsOf(data.Read({0, 1, 2, 3}));
  EXPECT_TRUE(SameBits(in_memory.read({3, 1}).condition.tensors.at("text"), TextOf({3, 1})));
  const Distance distance = MakeDistance("l2");
  const Validation same = Validate(table_, *model_.denoiser, distance, PairsOf(data), {.batch = 4});
  EXPECT_LT(same.distance, 1e-6);
}

TEST_F(StoredConditions, ReachTheFit) {
  const TeacherData data = Data();
  const Trajectories piece = SourceOf(data, other_, 1, 10, 4).read(1);
  EXPECT_TRUE(SameBits(piece.condition.tensors.at("text"), TextOf({5, 6, 7, 8})));
  const Samples all = data.Read({0, 1, 2, 3});
  const Trajectories held = SourceOf(all, table_, other_, 1, 4, 2).read(1);
  EXPECT_TRUE(SameBits(held.condition.tensors.at("text"), TextOf({3})));
}

TEST_F(StoredConditions, AreWhatEvaluationSamplesWith) {
  EvalOptions options;
  options.solvers = {"ddim"};
  options.grid = "logsnr";
  options.counts = {3};
  options.blocks = 1;
  options.batch = 4;
  const EvalRecord record = Evaluate(Data(), other_, options);
  ASSERT_EQ(record.rows.size(), 2u);
  EXPECT_LT(record.rows[1].figures.at("distance").mean, 1e-6);
}

}  // namespace
}  // namespace gas
