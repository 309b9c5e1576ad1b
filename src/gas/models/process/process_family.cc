#include "gas/models/process/process_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/models/process/process_denoiser.h"

namespace gas {

bool IsProcess(const ModelFiles& files) { return !files.command().empty(); }

Model OpenProcess(const ModelFiles& files, const ModelOptions& options) {
  CheckFloat32(options, files.name(), "a network in another process");
  const auto process = std::make_shared<ProcessDenoiser>(files.command());
  const NetworkFacts& hello = process->hello();
  Model model;
  model.name = hello.name;
  // The weights are out of reach. What the process says of itself keeps the samples of different models
  // apart, and stays the same when it is started by another command or on another machine.
  model.sha256 = Sha256(process->hello_line());
  model.schedule = hello.schedule;
  model.shape = hello.shape;
  model.classes = hello.classes;
  model.has_gradient = false;
  model.metadata = {{"hello", process->hello_line()}};
  model.denoiser = process;
  model.conditioner = std::make_shared<ClassConditioner>(hello.classes);
  return model;
}

}  // namespace gas
