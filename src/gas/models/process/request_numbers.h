// Which requests a process has been told, and by which numbers.
#ifndef GAS_MODELS_PROCESS_REQUEST_NUMBERS_H_
#define GAS_MODELS_PROCESS_REQUEST_NUMBERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gas {

// Keeps at most `limit` requests, but all of one batch in any case.
class RequestNumbers {
 public:
  explicit RequestNumbers(size_t limit) : limit_(limit) {}

  // Begins a batch. Returns those of its requests that have no number, each once.
  std::vector<std::string> Unknown(const std::vector<std::string>& batch);
  // The numbers to forget before `added` more requests are told: those used longest ago, none of this batch.
  std::vector<int64_t> Excess(size_t added) const;
  void Forget(const std::vector<int64_t>& numbers);
  // The number that the next request will have.
  int64_t next() const { return next_; }
  void Add(const std::string& request);
  // Of requests that all have one.
  std::vector<int64_t> Of(const std::vector<std::string>& batch) const;

 private:
  struct Entry {
    int64_t number;
    int64_t last_batch;
  };
  size_t limit_;
  std::map<std::string, Entry> entries_;
  int64_t next_ = 0, batch_ = 0;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_REQUEST_NUMBERS_H_
