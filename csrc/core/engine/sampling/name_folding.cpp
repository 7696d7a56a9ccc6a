#include "engine/sampling/name_folding.h"

#include <algorithm>
#include <stdexcept>

namespace namegen::sampling {

namespace {

constexpr uint32_t kEndOfAscii = 0x80, kEndOfUnicode = 0x110000;

// Reads the code point at the start of valid UTF-8, and moves past it.
uint32_t next_code_point(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t first = byte(0);
  const size_t length = std::min<size_t>(text.size(), first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4);
  uint32_t code_point = length == 1 ? first : first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) code_point = code_point << 6 | (byte(i) & 0x3F);
  text.remove_prefix(length);
  return code_point;
}

void append_utf8(uint32_t c, std::string& text) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

}  // namespace

NameFolding::NameFolding(const std::vector<FoldedCharacter>& characters) {
  for (size_t byte = 0; byte < bytes_.size(); ++byte) bytes_[byte] = static_cast<char>(byte);
  for (const FoldedCharacter& entry : characters) {
    if (entry.character >= kEndOfUnicode || entry.folded >= kEndOfUnicode || entry.combining_class < 0) {
      throw std::invalid_argument("a folded character must have code points below 0x110000 and a class from 0");
    }
    std::vector<Piece>& pieces = characters_[entry.character];
    pieces.push_back({entry.folded, entry.combining_class});
    only_bytes_ = only_bytes_ && entry.character < kEndOfAscii && entry.folded < kEndOfAscii && pieces.size() == 1;
    if (only_bytes_) bytes_[entry.character] = static_cast<char>(entry.folded);
  }
}

void NameFolding::append(std::string_view name, std::string& text) {
  if (changes_nothing()) {
    text.append(name);
  } else if (only_bytes_) {
    for (const char byte : name) text.push_back(bytes_[static_cast<unsigned char>(byte)]);
  } else {
    append_code_points(name, text);
  }
}

void NameFolding::append_code_points(std::string_view name, std::string& text) {
  pieces_.clear();
  while (!name.empty()) {
    const uint32_t character = next_code_point(name);
    const auto found = characters_.find(character);
    if (found == characters_.end()) {
      pieces_.push_back({character, 0});
    } else {
      pieces_.insert(pieces_.end(), found->second.begin(), found->second.end());
    }
  }
  const auto is_mark = [](const Piece& piece) { return piece.combining_class != 0; };
  for (auto begin = pieces_.begin(); begin != pieces_.end();) {
    begin = std::find_if(begin, pieces_.end(), is_mark);
    const auto end = std::find_if_not(begin, pieces_.end(), is_mark);
    std::stable_sort(begin, end, [](const Piece& a, const Piece& b) { return a.combining_class < b.combining_class; });
    begin = end;
  }
  for (const Piece& piece : pieces_) append_utf8(piece.code_point, text);
}

}  // namespace namegen::sampling
