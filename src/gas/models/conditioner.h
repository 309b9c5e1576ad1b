// From what a user asks for to what a network is told.
#ifndef GAS_MODELS_CONDITIONER_H_
#define GAS_MODELS_CONDITIONER_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/schedule/condition.h"

namespace gas {

// What is asked for one sample. A sample is a function of (seed, request).
struct Request {
  Seed seed = 0;                      // decides what is left open
  std::optional<int64_t> label = {};  // class, -1 for none; not given: drawn by the seed among all classes
  // What the image shows; not given: the seed's line of the prompts that the model was opened with.
  std::optional<std::string> prompt = {};
};

// Turns requests into conditions. Pure: a request always gives the same row.
class Conditioner {
 public:
  virtual ~Conditioner() = default;
  // One row for each request, on the CPU. Throws Error(kBadOption) for a request that the model cannot serve.
  virtual Condition Of(std::span<const Request> requests) const = 0;
  // Rows to find out with what an evaluation costs: of the right shapes, and nothing that anybody asked for.
  virtual Condition Placeholder(int64_t batch) const;
  // The unconditional side of guidance, one row on the CPU; nothing for a model without one.
  virtual std::optional<Condition> None() const = 0;
};

// Networks with class labels, or, with `classes` = 0, without any condition. has_none: whether a network with
// classes can be asked without one.
class ClassConditioner : public Conditioner {
 public:
  explicit ClassConditioner(int64_t classes, bool has_none = true) : classes_(classes), has_none_(has_none) {}
  Condition Of(std::span<const Request> requests) const override;
  std::optional<Condition> None() const override;

 private:
  int64_t classes_;
  bool has_none_;
};

// One request for each seed, all else alike.
std::vector<Request> RequestsFor(std::span<const Seed> seeds, const Request& like = {});

}  // namespace gas

#endif  // GAS_MODELS_CONDITIONER_H_
