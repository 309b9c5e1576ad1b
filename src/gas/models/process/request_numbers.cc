#include "gas/models/process/request_numbers.h"

#include <algorithm>
#include <set>

namespace gas {

std::vector<std::string> RequestNumbers::Unknown(const std::vector<std::string>& batch) {
  ++batch_;
  std::set<std::string> seen;
  std::vector<std::string> unknown;
  for (const std::string& request : batch) {
    if (!seen.insert(request).second) continue;
    const auto found = entries_.find(request);
    if (found == entries_.end()) {
      unknown.push_back(request);
    } else {
      found->second.last_batch = batch_;
    }
  }
  return unknown;
}

std::vector<int64_t> RequestNumbers::Excess(size_t added) const {
  std::vector<Entry> older;
  for (const auto& [request, entry] : entries_) {
    if (entry.last_batch != batch_) older.push_back(entry);
  }
  std::sort(older.begin(), older.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.last_batch, a.number) < std::pair(b.last_batch, b.number);
  });
  const size_t all = entries_.size() + added;
  std::vector<int64_t> numbers;
  for (const Entry& entry : older) {
    if (all - numbers.size() <= limit_) break;
    numbers.push_back(entry.number);
  }
  return numbers;
}

void RequestNumbers::Forget(const std::vector<int64_t>& numbers) {
  const std::set<int64_t> gone(numbers.begin(), numbers.end());
  std::erase_if(entries_, [&](const auto& entry) { return gone.contains(entry.second.number); });
}

void RequestNumbers::Add(const std::string& request) { entries_[request] = {next_++, batch_}; }

std::vector<int64_t> RequestNumbers::Of(const std::vector<std::string>& batch) const {
  std::vector<int64_t> numbers;
  for (const std::string& request : batch) numbers.push_back(entries_.at(request).number);
  return numbers;
}

}  // namespace gas
