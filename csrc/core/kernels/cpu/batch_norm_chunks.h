// What the forward and the backward kernel of batch_norm share: how rows are cut into chunks, how statistics merge, and
// how parameters are loaded.
#pragma once

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/row_blocks.h"

namespace namegen::cpu::NAMEGEN_ISA {

// How rows are cut into chunks. The sums of a chunk are formed in order, and the chunks are merged in order.
struct Chunks {
  int64_t rows;
  int64_t count() const { return batch_norm_chunks(rows); }
  int64_t first(int64_t chunk) const { return rows * chunk / count(); }
};

// Merges the statistics of `n_b` rows (mean b, squared deviations m_b) into those of `n_a` rows, by Chan, Golub and
// LeVeque (1979).
template <class T>
inline void merge_statistics(T n_a, Vec<T>& mean_a, Vec<T>& m_a, T n_b, Vec<T> mean_b, Vec<T> m_b) {
  const Vec<T> delta = mean_b - mean_a;
  const T share = n_b / (n_a + n_b);
  mean_a += delta * share;
  m_a += m_b + delta * delta * (n_a * share);
}

// The same for arrays of `columns` values, which are whole vectors.
template <class T>
inline void merge_statistics(int64_t columns, T n_a, T* mean_a, T* m_a, T n_b, const T* mean_b, const T* m_b) {
  for (int64_t c = 0; c < columns; c += kWidth<T>) {
    Vec<T> mean = load(mean_a + c), m = load(m_a + c);
    merge_statistics(n_a, mean, m, n_b, load(mean_b + c), load(m_b + c));
    store(mean_a + c, mean);
    store(m_a + c, m);
  }
}

// Memory is read ahead only where the walk passes over whole rows. A walk over some columns of wider rows would ask for
// the columns of others.
template <class Data, class Params>
inline RowBlocks<Data> blocks_of(const Params& p, int arrays) {
  return RowBlocks<Data>(p.row_stride == p.channels ? p.rows : 0, p.channels, arrays);
}

// Loads the parameters of the columns from `column` on. Where there are none (null), each is `value`.
template <class T, int NV>
inline void load_columns(const void* parameters, int64_t column, int64_t columns, T value, Vec<T>* result) {
  const T* p = static_cast<const T*>(parameters);
  for (int v = 0; v < NV; ++v) {
    result[v] = p == nullptr ? broadcast(value) : load_first(p + column + v * kWidth<T>, lanes_of<T, NV>(v, columns));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
