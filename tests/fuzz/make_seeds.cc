// make_seeds FOLDER: writes small valid files into FOLDER/<reader>, where each fuzz target starts from its
// own.
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"
#include "gas/solver/registry.h"
#include "gas/solver/solver_file.h"
#include "io/valid_files.h"

namespace gas {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;
using std::string_literals::operator""s;

void Write(const fs::path& folder, const std::vector<std::string>& files) {
  MakeDirectory(folder);
  for (size_t i = 0; i < files.size(); ++i) WriteFile(folder / std::to_string(i), files[i]);
}

// Of every kind that JSON can name.
std::vector<Json> Schedules() {
  return {VpLinearSchedule()->ToJson(),
          VeSchedule()->ToJson(),
          CosineSchedule()->ToJson(),
          FlowSchedule()->ToJson(),
          {{"kind", "discrete"}, {"alphas_cumprod", {0.9, 0.5, 0.1}}, {"t_eps", 0.001}},
          {{"kind", "scaled-sigma"},
           {"curve", "vp"},
           {"vp_scaling", true},
           {"sigma_min", 0.01},
           {"sigma_max", 80},
           {"beta_d", 19.9},
           {"beta_min", 0.1}}};
}

std::vector<std::string> SolverFiles() {
  SolverFile file;
  file.schedule = VpLinearSchedule();
  for (const int64_t nfe : {1, 2}) {
    file.entries[nfe].table = MakeSolverTable("dpmpp-2m", *file.schedule, "", nfe, kDefaultTEps);
  }
  return {FormatSolverFile(file)};
}

std::vector<std::string> Hellos() {
  std::vector<std::string> lines;
  for (const Json& schedule : Schedules()) {
    lines.push_back(Json({{"gas_denoiser", 1},
                          {"name", "a"},
                          {"shape", {1, 2, 3}},
                          {"classes", 2},
                          {"prediction", "noise"},
                          {"schedule", schedule}})
                        .dump());
  }
  const Json decode = {{"shape", {3, 8, 8}}, {"encode", true}, {"multiple", 4}};
  lines.push_back(Json({{"gas_denoiser", 2},
                        {"name", "a"},
                        {"shape", {4, 2, 2}},
                        {"prediction", "flow"},
                        {"schedule", {{"kind", "flow"}, {"t_eps", 0.001}}},
                        {"dtype", "bfloat16"},
                        {"guidance", "worker"},
                        {"gradient", true},
                        {"texts", true},
                        {"seeds", true},
                        {"decode", decode}})
                      .dump());
  return lines;
}

std::vector<std::string> ReplyLines() {
  return {R"({"bytes":12})", R"({"bytes":13})", R"({"error":"no memory"})", R"({"error":[1]})"};
}

std::vector<std::string> Manifests() {
  const Json spec = {{"model", "a"}, {"nfe", 1}};
  const Json shard = {{"file", "shard-0.safetensors"}, {"sha256", "00"}, {"seeds", "0-3,5"}};
  return {Json({{"gas_teacher", 1}, {"spec", spec}, {"shards", {shard}}}).dump(),
          Json({{"gas_teacher", 2}, {"spec", spec}, {"shard_size", 4}}).dump()};
}

std::vector<std::string> Mixtures() {
  std::vector<std::string> files;
  for (const Json& schedule : Schedules()) {
    files.push_back(Json({{"gas_mixture", 1},
                          {"shape", {2, 1, 1}},
                          {"schedule", schedule},
                          {"weights", {1, 3}},
                          {"means", {{1, 0}, {-1, 0.5}}},
                          {"covariances", {{{0.5, 0.2}, {0.2, 0.3}}, {{0.1, 0}, {0, 0.1}}}}})
                        .dump());
  }
  return files;
}

// The index of the shards that the fuzz target has beside it.
std::vector<std::string> ShardIndices() {
  const std::string path = "seed";
  const Safetensors shard = ParseSafetensors(path, testing::ValidSafetensors().front());
  Json map = Json::object();
  for (const auto& item : shard.tensors) map[item.first] = "a.safetensors";
  return {Json({{"metadata", {{"total_size", 4}}}, {"weight_map", map}}).dump()};
}

// Two levels, one with attention, and all that a card says.
std::vector<std::string> AdmConfigs() {
  Json shapes = {{"time_embed.0.weight", {128, 32}},
                 {"input_blocks.0.0.weight", {32, 3, 3, 3}},
                 {"middle_block.1.qkv.weight", {192, 64, 1}},
                 {"out.2.weight", {6, 32, 3, 3}},
                 {"label_emb.weight", {10, 128}},
                 {"input_blocks.1.0.emb_layers.1.weight", {64, 128}},
                 {"input_blocks.1.0.out_layers.3.weight", {32, 32, 3, 3}},
                 {"input_blocks.3.0.out_layers.3.weight", {64, 64, 3, 3}},
                 {"input_blocks.3.1.qkv.weight", {192, 64, 1}},
                 {"output_blocks.1.1.conv.weight", {64, 64, 3, 3}}};
  for (const char* stage : {"0", "1", "2", "3"})
    shapes[std::string("output_blocks.") + stage + ".0.in_layers.0.weight"] = {64};
  const Json card = {{"image_size", 32},       {"num_head_channels", 32},       {"num_heads", 2},
                     {"class_cond", true},     {"learn_sigma", true},           {"noise_schedule", "cosine"},
                     {"diffusion_steps", 100}, {"attention_resolutions", "16"}, {"channel_mult", "1,2"}};
  return {Json({{"tensors", shapes}, {"card", card}}).dump()};
}

// One block, and all that a card says.
std::vector<std::string> DitConfigs() {
  const Json shapes = {{"pos_embed", {1, 16, 48}},
                       {"x_embedder.proj.weight", {48, 4, 2, 2}},
                       {"t_embedder.mlp.0.weight", {48, 256}},
                       {"y_embedder.embedding_table.weight", {11, 48}},
                       {"blocks.0.attn.qkv.weight", {144, 48}},
                       {"blocks.0.mlp.fc1.weight", {192, 48}},
                       {"blocks.0.adaLN_modulation.1.weight", {288, 48}},
                       {"final_layer.linear.weight", {32, 48}}};
  const Json card = {{"model", "DiT"},
                     {"num_heads", 4},
                     {"num_classes", 10},
                     {"scale_factor", 0.2},
                     {"depth", 1},
                     {"hidden_size", 48},
                     {"patch_size", 2},
                     {"input_size", 8},
                     {"image_size", 64},
                     {"mlp_ratio", 4.0},
                     {"learn_sigma", true},
                     {"in_channels", 4},
                     {"path_type", "Linear"},
                     {"prediction", "velocity"}};
  return {Json({{"tensors", shapes}, {"card", card}}).dump()};
}

// The smallest networks of the two architectures.
void WriteEdmModels(const fs::path& folder) {
  for (const char* type : {"SongUNet", "DhariwalUNet"}) {
    edm::PrecondConfig config;
    edm::UNetConfig& network = config.network;
    network.model_type = type;
    network.img_resolution = 1;
    network.in_channels = network.out_channels = 1;
    network.model_channels = 4;
    network.channel_mult = {1};
    network.channel_mult_emb = 1;
    network.num_blocks = 1;
    network.attn_resolutions = {};
    edm::Precond precond(config);
    edm::WriteEdmModel(folder / type, config, StateDict(precond), {{"class_names", R"(["a","b"])"}});
  }
}

// The configurations of a small diffusers folder, each a file.
std::vector<std::string> SdConfigs() {
  const Json unet = {{"in_channels", 4},
                     {"out_channels", 4},
                     {"layers_per_block", 1},
                     {"block_out_channels", {32, 64}},
                     {"down_block_types", {"CrossAttnDownBlock2D", "DownBlock2D"}},
                     {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D"}},
                     {"cross_attention_dim", 8},
                     {"attention_head_dim", {2, 4}},
                     {"transformer_layers_per_block", {1, 2}},
                     {"addition_embed_type", "text_time"},
                     {"projection_class_embeddings_input_dim", 16},
                     {"sample_size", 8}};
  const Json vae = {{"in_channels", 3},      {"out_channels", 3}, {"latent_channels", 4},
                    {"layers_per_block", 1}, {"sample_size", 32}, {"block_out_channels", {32, 64}}};
  const Json text = {{"hidden_size", 8},         {"num_hidden_layers", 1},
                     {"num_attention_heads", 2}, {"intermediate_size", 8},
                     {"hidden_act", "gelu"},     {"architectures", {"CLIPTextModel"}}};
  const Json scheduler = {{"beta_schedule", "scaled_linear"}, {"prediction_type", "v_prediction"}};
  return {unet.dump(), vae.dump(), text.dump(), scheduler.dump()};
}

void WriteAll(const fs::path& folder) {
  Write(folder / "safetensors", testing::ValidSafetensors());
  Write(folder / "idx", testing::ValidIdx());
  Write(folder / "npy", testing::ValidNpy());
  Write(folder / "npz", testing::ValidNpz());
  Write(folder / "shard_index", ShardIndices());
  Write(folder / "adm_config", AdmConfigs());
  Write(folder / "dit_config", DitConfigs());
  Write(folder / "sd_config", SdConfigs());
  Write(folder / "prompts", {"a cat\n\na dog\n", "{\"prompt\": \"a\", \"negative\": \"b\", \"seed\": 3}\n"});
  Write(folder / "clip_tokenizer", {"#version: 0.2\nt h\nth e</w>\n\0{\"the</w>\": 3}"s});
  Write(folder / "png", testing::ValidPng());
  Write(folder / "yaml", {"a: &x [1, 0x1f, 1e-4, true, ~, 'b']\nc: {d: *x, e: !!str 1}\n? f\n: |\n  g\n"});
  Write(folder / "pickle", testing::ValidPickles());
  Write(folder / "torch_file", testing::ValidTorchFiles());
  Write(folder / "solver_file", SolverFiles());
  Write(folder / "process_hello", Hellos());
  Write(folder / "process_reply", ReplyLines());
  Write(folder / "manifest", Manifests());
  Write(folder / "model", Mixtures());
  WriteEdmModels(folder / "model");
}

}  // namespace
}  // namespace gas

int main(int argc, char** argv) {
  GAS_CHECK(argc == 2, gas::Errc::kBadOption, "usage: make_seeds FOLDER");
  gas::WriteAll(argv[1]);
}
