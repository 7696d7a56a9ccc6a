#include "engine/sampling/name_cells.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace namegen::sampling {

namespace {

constexpr int64_t kFirstStride = 32;  // most names are shorter
constexpr int64_t kChunk = 16;        // names are copied in chunks, which may reach beyond their ends

}  // namespace

void check_spelling(const Spelling& spelling) {
  const int64_t vocab = spelling.vocab();
  if (vocab < 2 || vocab > 65536) {
    throw std::invalid_argument("encodings must be 2 to 65,536, but are " + std::to_string(vocab));
  }
  for (int64_t symbol = 1; symbol < vocab; ++symbol) {
    const std::string& text = spelling.encodings[symbol];
    if (text.empty() || text.find('\n') != std::string::npos) {
      throw std::invalid_argument("encodings[" + std::to_string(symbol) + "] must hold a letter, and no newline");
    }
  }
  for (int32_t symbol : spelling.prefix) {
    if (symbol < 1 || symbol >= vocab) {
      throw std::invalid_argument("prefix must hold symbols from 1 to " + std::to_string(vocab - 1) + ", but holds " +
                                  std::to_string(symbol));
    }
  }
  if (spelling.max_steps < 1) {
    throw std::invalid_argument("max_steps must be at least 1, but is " + std::to_string(spelling.max_steps));
  }
}

NameCells::NameCells(const Spelling& spelling, int64_t names)
    : encodings_(spelling.encodings), names_(names), max_steps_(spelling.max_steps), stride_(kFirstStride) {
  check_spelling(spelling);
  for (int32_t symbol : spelling.prefix) prefix_ += encodings_[symbol];
  encodings_[0] = "\n";
  const bool one_byte_each = std::all_of(encodings_.begin(), encodings_.end(), [](auto& e) { return e.size() == 1; });
  cell_bytes_ = one_byte_each ? 1 : 2;
  for (size_t symbol = 0; symbol < encodings_.size(); ++symbol) {
    code_.push_back(one_byte_each ? static_cast<uint8_t>(encodings_[symbol][0]) : static_cast<uint16_t>(symbol));
  }
  cells_ = AlignedArray<uint8_t>(names_ * stride_ * cell_bytes_ + kChunk);
  length_.assign(names_, 0);
}

void NameCells::reserve(int64_t end) {
  if (end <= stride_) return;
  const int64_t wider = std::max(end, 2 * stride_);
  AlignedArray<uint8_t> cells(names_ * wider * cell_bytes_ + kChunk);
  for (int64_t name = 0; name < names_; ++name) {
    std::memcpy(cells.data() + name * wider * cell_bytes_, cells_.data() + name * stride_ * cell_bytes_,
                stride_ * cell_bytes_);
  }
  cells_ = std::move(cells);
  stride_ = wider;
}

void NameCells::write(int64_t count, std::string& text) const {
  cell_bytes_ == 1 ? write_bytes(count, text) : write_encoded(count, text);
}

void NameCells::write_bytes(int64_t count, std::string& text) const {
  const size_t prefix = prefix_.size();
  size_t total = 0;
  for (int64_t name = 0; name < count; ++name) total += prefix + letters(name) + 1;
  const size_t start = text.size();
  text.resize(start + total + kChunk);  // a chunk may reach beyond the end
  char* target = text.data() + start;
  for (int64_t name = 0; name < count; ++name) {
    std::memcpy(target, prefix_.data(), prefix);
    target += prefix;
    const uint8_t* source = cells_.data() + name * stride_;
    const int64_t n = letters(name);
    for (int64_t i = 0; i < n; i += kChunk) std::memcpy(target + i, source + i, kChunk);
    target[n] = '\n';
    target += n + 1;
  }
  text.resize(start + total);
}

void NameCells::write_encoded(int64_t count, std::string& text) const {
  const uint16_t* cells = reinterpret_cast<const uint16_t*>(cells_.data());
  for (int64_t name = 0; name < count; ++name) {
    text += prefix_;
    const int64_t n = letters(name);
    for (int64_t i = 0; i < n; ++i) text += encodings_[cells[name * stride_ + i]];
    text += '\n';
  }
}

}  // namespace namegen::sampling
