// The names of an enum's values, in one table beside the enum: what people type, what files store, what help
// says of each.
#ifndef GAS_CORE_ENUM_NAMES_H_
#define GAS_CORE_ENUM_NAMES_H_

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "gas/core/error.h"

namespace gas {

// A name that can be chosen, and what it stands for in a few words ("" where the name says it).
struct Choice {
  std::string_view name, meaning;
};

// "a, b or c".
std::string ListOf(std::span<const Choice> choices);

// Throws Error(code): `name` is no `what`, which of `known` is nearest to it, and what there is.
[[noreturn]] void FailUnknownName(Errc code, std::string_view what, std::string_view name,
                                  std::span<const Choice> known);

template <class E>
struct EnumRow {
  E value;
  std::string_view name;
  std::string_view meaning = {};
};

template <class E, size_t N>
class EnumNames {
 public:
  consteval EnumNames(std::string_view what, const EnumRow<E> (&rows)[N]) : what_(what) {
    for (size_t i = 0; i < N; ++i) {
      values_[i] = rows[i].value;
      choices_[i] = {rows[i].name, rows[i].meaning};
    }
  }

  constexpr std::string_view NameOf(E value) const {
    for (size_t i = 0; i < N; ++i) {
      if (values_[i] == value) return choices_[i].name;
    }
    GAS_ASSERT(false);
  }

  // Throws Error(code) naming the nearest; `code` is kBadFile where the name stands in a file.
  E FromName(std::string_view name, Errc code = Errc::kBadOption) const {
    for (size_t i = 0; i < N; ++i) {
      if (choices_[i].name == name) return values_[i];
    }
    FailUnknownName(code, what_, name, choices_);
  }

  // In the order of the table.
  constexpr std::span<const Choice> choices() const { return choices_; }
  constexpr const std::array<E, N>& values() const { return values_; }

 private:
  std::string_view what_;
  std::array<E, N> values_{};
  std::array<Choice, N> choices_{};
};

// inline constexpr auto kColourNames = NamesOf<Colour>("colour", {{Colour::kRed, "red"}, ...});
template <class E, size_t N>
consteval EnumNames<E, N> NamesOf(std::string_view what, const EnumRow<E> (&rows)[N]) {
  return EnumNames<E, N>(what, rows);
}

}  // namespace gas

#endif  // GAS_CORE_ENUM_NAMES_H_
