// How the columns of a matrix are cut into panels of a few vectors, so that a loop over rows can hold all of a panel's
// vectors in registers; and how kernels walk over the panels.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

inline constexpr int kTileVectors = 4;  // of a panel, at most
template <class T>
inline constexpr int kPanel = kTileVectors * kWidth<T>;

// One panel of columns.
struct Panel {
  int64_t number;
  int64_t column;  // its first
  int64_t width;   // its columns
  int64_t last;    // columns in its last vector
};

// How `columns` columns fall into panels of kTileVectors vectors. The last panel is only as wide as it needs to be.
template <class T>
struct Panels {
  int64_t columns;
  int64_t count() const { return ceil_div(columns, kPanel<T>); }
  int64_t padded() const { return ceil_div(columns, kWidth<T>) * kWidth<T>; }
  int64_t first(int64_t panel) const { return panel * kPanel<T>; }
  int64_t width(int64_t panel) const { return smaller(kPanel<T>, columns - first(panel)); }
  int64_t vectors(int64_t panel) const { return ceil_div(width(panel), kWidth<T>); }
  int64_t last(int64_t panel) const { return width(panel) - (vectors(panel) - 1) * kWidth<T>; }
  Panel at(int64_t panel) const { return {panel, first(panel), width(panel), last(panel)}; }
};

// A number that is known when compiling.
template <int N>
struct Constant {
  static constexpr int value = N;
};

// Calls body(Constant<vectors>) for 1 to kTileVectors vectors.
template <class Body>
inline void with_vectors(int64_t vectors, const Body& body) {
  static_assert(kTileVectors == 4);
  switch (vectors) {
    case 1:
      return body(Constant<1>{});
    case 2:
      return body(Constant<2>{});
    case 3:
      return body(Constant<3>{});
    default:
      return body(Constant<4>{});
  }
}

// body(Constant<NV>, panel) for one panel, of NV vectors.
template <class T, class Body>
inline void with_panel(const Panels<T>& panels, int64_t panel, const Body& body) {
  with_vectors(panels.vectors(panel), [&](auto nv) { body(nv, panels.at(panel)); });
}

// The same for panels [begin, end), one after the other.
template <class T, class Body>
inline void for_panels(const Panels<T>& panels, int64_t begin, int64_t end, const Body& body) {
  for (int64_t panel = begin; panel < end; ++panel) with_panel(panels, panel, body);
}

// The same for all panels of `columns` columns.
template <class T, class Body>
inline void for_each_panel(int64_t columns, const Body& body) {
  const Panels<T> panels{columns};
  for_panels(panels, 0, panels.count(), body);
}

// Lanes in use of vector v of NV vectors that hold `columns` columns.
template <class T, int NV>
inline int64_t lanes_of(int v, int64_t columns) {
  return v < NV - 1 ? kWidth<T> : columns - v * kWidth<T>;
}

// NV whole vectors, one after the other in memory.
template <int NV, class T>
inline void load_vectors(const T* from, Vec<T>* vectors) {
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) vectors[v] = load(from + v * kWidth<T>);
}
template <int NV, class T>
inline void store_vectors(T* to, const Vec<T>* vectors) {
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) store(to + v * kWidth<T>, vectors[v]);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
