// The symbols of a batch of names while they are drawn, and how they become text.
#pragma once

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

// A row of cells for each name. Where every symbol is one byte of UTF-8, a cell is that byte, and a row is the text of
// a name. Otherwise a cell is the number of a symbol.
class NameCells {
 public:
  NameCells(const Spelling& spelling, int64_t names);

  int cell_bytes() const { return cell_bytes_; }
  const uint16_t* code() const { return code_.data(); }
  void* cells() { return cells_.data(); }
  int64_t stride() const { return stride_; }
  // The number of symbols of each name. Whoever draws writes it. More than max_steps counts as max_steps.
  int64_t* length() { return length_.data(); }

  // Makes room for symbols up to, and not including, number `end`.
  void reserve(int64_t end);
  void put(int64_t name, int64_t position, uint32_t symbol) {
    const int64_t cell = name * stride_ + position;
    if (cell_bytes_ == 1) {
      cells_[cell] = static_cast<uint8_t>(code_[symbol]);
    } else {
      reinterpret_cast<uint16_t*>(cells_.data())[cell] = code_[symbol];
    }
  }
  // Appends the first `count` names, each with the prefix before it and a newline behind it.
  void write(int64_t count, std::string& text) const;

 private:
  void write_bytes(int64_t count, std::string& text) const;
  void write_encoded(int64_t count, std::string& text) const;
  int64_t letters(int64_t name) const { return length_[name] < max_steps_ ? length_[name] : max_steps_; }

  std::vector<std::string> encodings_;
  std::string prefix_;
  std::vector<uint16_t> code_;
  int cell_bytes_;
  int64_t names_;
  int64_t max_steps_;
  int64_t stride_;
  AlignedArray<uint8_t> cells_;  // (names, stride) cells
  std::vector<int64_t> length_;
};

}  // namespace namegen::sampling
