// Texts in pieces.
#ifndef GAS_CORE_SPLIT_H_
#define GAS_CORE_SPLIT_H_

#include <string>
#include <string_view>
#include <vector>

namespace gas {

// What stands between separators. Behind one that ends the text there is no empty piece.
std::vector<std::string> SplitAt(std::string_view text, char separator);

// The same at ends of lines, of Unix or of Windows.
std::vector<std::string> LinesOf(std::string_view text);

}  // namespace gas

#endif  // GAS_CORE_SPLIT_H_
