// Names as they are compared with known ones: whatever their case, and however their accents are written.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace namegen::sampling {

// One code point of what a character becomes. A character that becomes several has several entries, in their order.
struct FoldedCharacter {
  uint32_t character;
  uint32_t folded;
  int32_t combining_class;  // Unicode's canonical combining class of `folded`; 0 for what is no mark
};

// Folds names: each character becomes what its entries say, and marks that follow one another are sorted by their
// classes, as Unicode's canonical ordering has it. A character without an entry stays as it is.
//
// Source: The Unicode Standard, sections 3.11 (canonical ordering) and 3.13 (caseless matching).
class NameFolding {
 public:
  NameFolding() = default;
  // Throws std::invalid_argument where an entry holds what is no code point.
  explicit NameFolding(const std::vector<FoldedCharacter>& characters);

  bool changes_nothing() const { return characters_.empty(); }
  // Appends the folded name, which is UTF-8, to `text`.
  void append(std::string_view name, std::string& text);

 private:
  struct Piece {
    uint32_t code_point;
    int32_t combining_class;
  };

  void append_code_points(std::string_view name, std::string& text);

  std::unordered_map<uint32_t, std::vector<Piece>> characters_;
  // Where each entry turns one byte of ASCII into another, a table of the bytes does it.
  bool only_bytes_ = true;
  std::array<char, 256> bytes_{};
  std::vector<Piece> pieces_;  // of the name in hand
};

}  // namespace namegen::sampling
