#include "gas/importers/schedule_text.h"

#include <fstream>

#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

TEST(ScheduleText, NamesAreTheSchedulesThemselves) {
  const auto same = [](const std::string& text, std::optional<double> t_eps, const SchedulePtr& schedule) {
    EXPECT_EQ(ScheduleFromText(text, t_eps)->ToJson(), schedule->ToJson()) << text;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  same("edm", 1e-4, EdmAsVpSchedule(1e-4, 0, infinity));
  same("edm", {}, EdmAsVpSchedule(kDefaultTEps, 0, infinity));
  same("ve", {}, VeSchedule());
  same("ve", 0.01, VeSchedule(0.01));
  same("flow", 0.01, FlowSchedule(0.01));
  same("cosine", 0.01, CosineSchedule(0.008, 0.01));
  same("scaled-linear:0.00085,0.012", {}, DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012)));
  same(VeSchedule()->ToJson().dump(), {}, VeSchedule());
}

TEST(ScheduleText, ReadsTheObjectFromAFile) {
  const testing::TempFolder folder("schedule_text");
  const auto path = folder.path() / "schedule.json";
  std::ofstream(path) << CosineSchedule()->ToJson().dump();
  EXPECT_EQ(ScheduleFromText(path.string(), {})->ToJson(), CosineSchedule()->ToJson());
  EXPECT_ERROR(ScheduleFromText((folder.path() / "nothing.json").string(), {}), Errc::kBadFile,
               "nothing.json");
}

TEST(ScheduleText, RefusesWhatIsNone) {
  EXPECT_ERROR(ScheduleFromText("flaw", {}), Errc::kBadOption, "did you mean flow?");
  EXPECT_ERROR(ScheduleFromText("scaled-linear:0.1", {}), Errc::kBadOption,
               "must be scaled-linear:START,END");
  EXPECT_ERROR(ScheduleFromText("scaled-linear:0.1,x", {}), Errc::kBadOption, "\"x\" is not a number");
  EXPECT_ERROR(ScheduleFromText("scaled-linear:0.012,0.00085", {}), Errc::kBadOption, "must ascend");
  EXPECT_ERROR(ScheduleFromText("{\"kind\":\"vee\"}", {}), Errc::kBadFile, "did you mean ve?");
  EXPECT_ERROR(ScheduleFromText("{", {}), Errc::kBadFile, "not JSON");
}

TEST(ScheduleText, WhatNetworksUsuallyPredict) {
  EXPECT_EQ(UsualPrediction(*FlowSchedule()), PredictionType::kFlow);
  EXPECT_EQ(UsualPrediction(*DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012))),
            PredictionType::kNoise);
  EXPECT_EQ(UsualPrediction(*VeSchedule()), PredictionType::kData);
}

}  // namespace
}  // namespace gas
