// What callers must hold to.
#pragma once

#include <stdexcept>
#include <string>

namespace namegen {

// Throws std::invalid_argument with `what` unless a condition holds.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace namegen
