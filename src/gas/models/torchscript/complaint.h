// What LibTorch throws about an exported network, as an error of ours.
#ifndef GAS_MODELS_TORCHSCRIPT_COMPLAINT_H_
#define GAS_MODELS_TORCHSCRIPT_COMPLAINT_H_

#include <exception>
#include <string>
#include <string_view>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {

// What is at fault, out of a report with the program's lines: the last that begins like Python's errors, or
// the first.
inline std::string Complaint(std::string_view report) {
  constexpr std::string_view kMark = "Error: ";
  const size_t mark = report.rfind(kMark);
  if (mark != std::string_view::npos) report.remove_prefix(mark + kMark.size());
  return Quoted(report.substr(0, report.find('\n')));
}

// Calls f and turns what LibTorch throws into Error(kBadFile), which says what was tried.
template <class F>
auto WithComplaints(const std::string& name, const char* what, const F& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    Fail(Errc::kBadFile, name, ": ", what, ": ", Complaint(e.what()));
  }
}

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_COMPLAINT_H_
