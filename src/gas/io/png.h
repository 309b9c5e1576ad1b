// 8-bit PNG images through libpng.
#ifndef GAS_IO_PNG_H_
#define GAS_IO_PNG_H_

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

// image [C,H,W] uint8, C = 1 (grey) or 3 (RGB). Atomic (io/file.h). `text` becomes tEXt chunks.
void WritePng(const std::filesystem::path& path, const Tensor& image,
              const std::map<std::string, std::string>& text = {});

// What becomes of transparency: the colours below it as they are stored, or the image laid on white.
enum class Alpha { kDropped, kOnWhite };

// Returns [C,H,W] uint8, C = 1 for grey, 3 otherwise (palettes expanded, 16 bits reduced to 8). Throws
// Error(kBadFile) naming the file, also for images larger than 2^15 on a side.
Tensor ReadPng(const std::filesystem::path& path, Alpha alpha = Alpha::kDropped);
Tensor ParsePng(std::string_view name, std::span<const char> bytes, Alpha alpha = Alpha::kDropped);

// [B,C,H,W] float in [-1,1] to uint8 by rounding (x + 1) * 127.5, clipped.
Tensor ToBytes(const Tensor& images);

}  // namespace gas

#endif  // GAS_IO_PNG_H_
