#include <iostream>

#include <fmt/format.h>

#include "gas/cli/run.h"
#include "gas/models/embedded.h"
#include "gas/models/model.h"

namespace gas::cli {
namespace {

void RunModels() {
  for (const std::string& name : EmbeddedModelNames()) {
    const Model model = OpenModel(name);
    std::cout << fmt::format("{:<10} {}x{}x{}, {} classes, {:.2f} M parameters, {}\n", name, model.shape[0],
                             model.shape[1], model.shape[2], model.classes, model.parameters / 1e6,
                             EmbeddedFile(name).string());
  }
}

}  // namespace

Verb ModelsVerb() {
  return {"models", "Lists the models that come with this program.", "gas models", {}, [](const Options&) {
            return RunModels;
          }};
}

}  // namespace gas::cli
