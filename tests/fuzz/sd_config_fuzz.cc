#include "fuzz/fuzz.h"
#include "gas/io/json.h"
#include "gas/models/diffusers/config.h"
#include "gas/models/sd/text_stages.h"

// A JSON object as each of the configurations of a diffusers folder.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto read = [&](const auto& parse) {
    gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size),
                                      [&](const char* name, std::span<const char> file) {
                                        parse(name, gas::ParseJson(name, {file.data(), file.size()}));
                                      });
  };
  read([](const char* name, const nlohmann::json& json) { gas::diffusers::UNetFromDiffusers(name, json); });
  read([](const char* name, const nlohmann::json& json) {
    gas::diffusers::AutoencoderFromDiffusers(name, json);
  });
  read([](const char* name, const nlohmann::json& json) { gas::sd::ClipTextFromJson(name, json); });
  read([](const char* name, const nlohmann::json& json) {
    gas::compvis::Config config;
    gas::diffusers::ReadDiffusersSchedule(name, json, config);
  });
  return 0;
}
