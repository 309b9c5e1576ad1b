#include "gas/models/diffusers/module_names.h"

#include <fmt/format.h>

namespace gas::diffusers {
namespace {

using Side = std::string ModuleName::*;

bool IsInside(const std::string& name, const std::string& module) {
  return name.size() > module.size() && name.starts_with(module) && name[module.size()] == '.';
}

// The longest module that has the name decides.
std::string Renamed(const std::vector<ModuleName>& names, const std::string& name, Side from, Side to) {
  const ModuleName* best = nullptr;
  for (const ModuleName& module : names) {
    if (!IsInside(name, module.*from)) continue;
    if (best == nullptr || (module.*from).size() > (best->*from).size()) best = &module;
  }
  return best == nullptr ? name : best->*to + name.substr((best->*from).size());
}

void AddResBlock(std::vector<ModuleName>& names, const std::string& diffusers, const std::string& network) {
  for (const auto& [theirs, ours] : {std::pair{"norm1", "in_layers.0"},
                                     {"conv1", "in_layers.2"},
                                     {"time_emb_proj", "emb_layers.1"},
                                     {"norm2", "out_layers.0"},
                                     {"conv2", "out_layers.3"},
                                     {"conv_shortcut", "skip_connection"}}) {
    names.push_back({diffusers + "." + theirs, network + "." + ours});
  }
}

// Of the U-Net: what lies at `level` of the encoder or of the decoder.
void AddEncoderLevel(std::vector<ModuleName>& names, const openai_unet::UNetConfig& c, int64_t level) {
  const std::string block = fmt::format("down_blocks.{}.", level);
  const int64_t first = 1 + level * (c.num_res_blocks + 1);
  for (int64_t i = 0; i < c.num_res_blocks; ++i) {
    const std::string stage = fmt::format("input_blocks.{}.", first + i);
    AddResBlock(names, fmt::format("{}resnets.{}", block, i), stage + "0");
    names.push_back({fmt::format("{}attentions.{}", block, i), stage + "1"});
  }
  names.push_back(
      {block + "downsamplers.0.conv", fmt::format("input_blocks.{}.0.op", first + c.num_res_blocks)});
}

void AddDecoderLevel(std::vector<ModuleName>& names, const openai_unet::UNetConfig& c, int64_t level) {
  const int64_t index = c.levels() - 1 - level, blocks = c.num_res_blocks + 1;
  const std::string block = fmt::format("up_blocks.{}.", index);
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string stage = fmt::format("output_blocks.{}.", index * blocks + i);
    AddResBlock(names, fmt::format("{}resnets.{}", block, i), stage + "0");
    names.push_back({fmt::format("{}attentions.{}", block, i), stage + "1"});
  }
  names.push_back(
      {block + "upsamplers.0.conv",
       fmt::format("output_blocks.{}.{}.conv", (index + 1) * blocks - 1, c.HasAttention(level) ? 2 : 1)});
}

// Of the autoencoder: a resolution of one half, and the middle.
void AddCoderLevel(std::vector<ModuleName>& names, const std::string& diffusers, const std::string& network,
                   int64_t blocks) {
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string theirs = fmt::format("{}.resnets.{}", diffusers, i);
    const std::string ours = fmt::format("{}.block.{}", network, i);
    names.push_back({theirs, ours});
    names.push_back({theirs + ".conv_shortcut", ours + ".nin_shortcut"});
  }
  names.push_back({diffusers + ".downsamplers.0.conv", network + ".downsample.conv"});
  names.push_back({diffusers + ".upsamplers.0.conv", network + ".upsample.conv"});
}

void AddCoderMiddle(std::vector<ModuleName>& names, const std::string& half) {
  const std::string theirs = half + ".mid_block.", ours = half + ".mid.";
  names.push_back({theirs + "resnets.0", ours + "block_1"});
  names.push_back({theirs + "resnets.1", ours + "block_2"});
  const std::string attention = theirs + "attentions.0.", network = ours + "attn_1.";
  // The newer name first: it is the one that stands for the network's.
  for (const auto& [name, part] : {std::pair{"group_norm", "norm"},
                                   {"to_q", "q"},
                                   {"query", "q"},
                                   {"to_k", "k"},
                                   {"key", "k"},
                                   {"to_v", "v"},
                                   {"value", "v"},
                                   {"to_out.0", "proj_out"},
                                   {"proj_attn", "proj_out"}}) {
    names.push_back({attention + name, network + part});
  }
  names.push_back({half + ".conv_norm_out", half + ".norm_out"});
}

}  // namespace

std::string ModuleNames::ToNetwork(const std::string& name) const {
  return Renamed(names_, name, &ModuleName::diffusers, &ModuleName::network);
}

std::string ModuleNames::ToDiffusers(const std::string& name) const {
  return Renamed(names_, name, &ModuleName::network, &ModuleName::diffusers);
}

ModuleNames UNetNames(const openai_unet::UNetConfig& c) {
  std::vector<ModuleName> names = {{"conv_in", "input_blocks.0.0"},
                                   {"time_embedding.linear_1", "time_embed.0"},
                                   {"time_embedding.linear_2", "time_embed.2"},
                                   {"add_embedding.linear_1", "label_emb.0.0"},
                                   {"add_embedding.linear_2", "label_emb.0.2"},
                                   {"mid_block.attentions.0", "middle_block.1"},
                                   {"conv_norm_out", "out.0"},
                                   {"conv_out", "out.2"}};
  AddResBlock(names, "mid_block.resnets.0", "middle_block.0");
  AddResBlock(names, "mid_block.resnets.1", "middle_block.2");
  for (int64_t level = 0; level < c.levels(); ++level) {
    AddEncoderLevel(names, c, level);
    AddDecoderLevel(names, c, level);
  }
  return ModuleNames(std::move(names));
}

ModuleNames AutoencoderNames(const autoencoder::AutoencoderConfig& c) {
  std::vector<ModuleName> names;
  const auto levels = static_cast<int64_t>(c.channel_mult.size());
  for (int64_t level = 0; level < levels; ++level) {
    AddCoderLevel(names, fmt::format("encoder.down_blocks.{}", level), fmt::format("encoder.down.{}", level),
                  c.blocks);
    AddCoderLevel(names, fmt::format("decoder.up_blocks.{}", levels - 1 - level),
                  fmt::format("decoder.up.{}", level), c.blocks + 1);
  }
  for (const char* half : {"encoder", "decoder"}) AddCoderMiddle(names, half);
  return ModuleNames(std::move(names));
}

}  // namespace gas::diffusers
