// The contexts of a predictor that looks at more symbols than a key holds: then a key is the number of a node in a tree
// of names' beginnings. The tree belongs to one thread's predictions, and grows while names are drawn.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/sampling/memo.h"

namespace namegen::sampling {

class ContextTree {
 public:
  ContextTree() : children_(kMostNodes) { forget(); }

  // The start of a name is the key 0.
  Key append(Key context, uint32_t symbol) {
    const auto node = static_cast<uint32_t>(children_.find_or_add(context << kSymbolBits | symbol)) + kFirst;
    if (node == nodes_.size()) nodes_.push_back({static_cast<uint32_t>(context), symbol});
    return node;
  }
  // As Predictor::context_of_window. A window without a 0 does not hold the start of its name.
  Key context_of_window(const int64_t* symbols, int64_t width) {
    int64_t start = width;
    while (start > 0 && symbols[start - 1] != 0) --start;
    Key context = start > 0 ? 0 : kCut;
    for (int64_t i = start; i < width; ++i) context = append(context, static_cast<uint32_t>(symbols[i]));
    return context;
  }
  // Writes the last `width` symbols of a name, oldest first, and returns how many there are. The symbol 0 at its start
  // is one of them.
  int64_t last_symbols(Key context, int64_t width, int32_t* symbols) const {
    int64_t count = 0;
    auto node = static_cast<uint32_t>(context);
    for (; count < width && node >= kFirst; node = nodes_[node].parent) {
      symbols[count++] = static_cast<int32_t>(nodes_[node].symbol);
    }
    if (count < width && node != kCut) symbols[count++] = 0;
    std::reverse(symbols, symbols + count);
    return count;
  }

  // Forgets all contexts but one, which gets a new key. Of that its last `width` symbols are kept.
  Key forget_but(Key context, int64_t width) {
    std::vector<int32_t> symbols(width);
    symbols.resize(last_symbols(context, width, symbols.data()));
    forget();
    Key kept = 0;
    size_t next = 1;  // behind the 0 of a start
    if (symbols.empty() || symbols[0] != 0) {
      kept = kCut;
      next = 0;
    }
    for (; next < symbols.size(); ++next) kept = append(kept, static_cast<uint32_t>(symbols[next]));
    return kept;
  }

  bool is_large() const { return static_cast<int64_t>(nodes_.size()) > kManyNodes; }
  // Keys that were given before must not be used any more.
  void forget() {
    children_.forget();
    nodes_.assign(kFirst, {0, 0});
  }

 private:
  struct Node {
    uint32_t parent, symbol;
  };
  static constexpr int kSymbolBits = 16;
  static constexpr uint32_t kCut = 1, kFirst = 2;  // the numbers of the starts, and of the first node behind them
  static constexpr int64_t kManyNodes = int64_t{1} << 18, kMostNodes = int64_t{1} << 31;

  Memo children_;  // (node, symbol) -> number of the node behind it, less kFirst
  std::vector<Node> nodes_;
};

}  // namespace namegen::sampling
