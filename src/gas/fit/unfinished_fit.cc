#include "gas/fit/unfinished_fit.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"

namespace gas {
namespace {

// The numbers of these seeds among the data's, which ascend.
std::vector<int64_t> PlacesOf(const std::vector<Seed>& seeds, const TeacherData& data) {
  const std::vector<Seed> all = data.seeds();
  std::vector<int64_t> places;
  for (const Seed seed : seeds)
    places.push_back(std::lower_bound(all.begin(), all.end(), seed) - all.begin());
  return places;
}

}  // namespace

void UnfinishedFit::Begin(const Fingerprint& fingerprint) {
  if (journal_) return;
  MakeDirectory(folder_);
  journal_.emplace(folder_ / "journal.jsonl", fingerprint);
}

Samples UnfinishedFit::Make(const Model& model, const TeacherSpec& spec, const StepTable& table,
                            const std::vector<Seed>& seeds, int64_t batch,
                            const std::function<void(int64_t done)>& progress) const {
  const std::filesystem::path folder = folder_ / fmt::format("teacher-guidance-{}", spec.guidance);
  // A shard for each batch: no more than that is lost.
  const TeacherOptions options{.batch = batch, .shard_size = batch, .progress = [&](int64_t done, int64_t) {
                                 if (progress) progress(done);
                               }};
  WriteTeacherData(folder, spec, model, table, seeds, options);
  const TeacherData data(folder);
  return data.Read(PlacesOf(seeds, data));
}

JournalPart UnfinishedFit::Of(int64_t nfe) { return {*journal_, fmt::format("{}/", nfe)}; }

void UnfinishedFit::Remove() {
  if (!journal_) return;
  journal_.reset();
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
  GAS_CHECK(!error, Errc::kIo, folder_.string(), ": cannot remove it: ", error.message());
}

}  // namespace gas
