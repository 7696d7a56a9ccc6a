// What the forward and the backward kernel of batch_norm share: how rows are cut into chunks, and columns walked.
#pragma once

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/kernels.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Rows are cut into at most 16 chunks, by their number alone. A chunk's statistics are formed piece by piece, pieces of
// kPieceRows that stay in L2 while they are read twice; then chunks are merged in order.
inline constexpr int64_t kPieceRows = 128;
struct Chunks {
  int64_t rows;
  int64_t count() const { return smaller(16, larger(1, rows / 1024)); }
  int64_t first(int64_t chunk) const { return rows * chunk / count(); }
};

// body(Constant<NV>, column, columns) for each panel of columns.
template <class T, class Body>
inline void for_panels(int64_t channels, const Body& body) {
  const Panels<T> panels{channels};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) { body(nv, panels.first(panel), panels.width(panel)); });
  }
}

// Lanes in use of vector v of NV vectors that hold `columns` columns.
template <class T, int NV>
inline int64_t lanes_of(int v, int64_t columns) {
  return v < NV - 1 ? kWidth<T> : columns - v * kWidth<T>;
}

// Parameters of the columns from `p` on, or `value` for each where there are none.
template <class T, int NV>
inline void load_columns(const T* p, int64_t columns, T value, Vec<T>* result) {
  for (int v = 0; v < NV; ++v) {
    result[v] = p == nullptr ? broadcast(value) : load_first(p + v * kWidth<T>, lanes_of<T, NV>(v, columns));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
