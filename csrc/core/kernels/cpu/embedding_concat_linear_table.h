// The table of embedding_concat_linear: the rows P[t, s] = C[s] @ W_t^T of the symbols that occur.
#pragma once

#include "kernels/cpu/embedding_concat_linear_choice.h"
#include "kernels/cpu/symbol_rows.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// y[v * width ...] = activation(sums[v] + bias[v * width ...]) for `columns` columns in NV vectors.
template <class Data, bool Tanh, int NV>
inline void finish_row(const Vec<Compute<Data>>* sums, const Compute<Data>* bias, int64_t columns, Data* y) {
  using T = Compute<Data>;
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    const int64_t lanes = lanes_of<T, NV>(v, columns);
    Vec<T> z = sums[v];
    if (bias != nullptr) z += v < NV - 1 ? load(bias + v * kWidth<T>) : load_first(bias + v * kWidth<T>, lanes);
    store_data(y + v * kWidth<T>, Tanh ? tanh(z) : z, lanes);
  }
}

// Packs W^T a group of panels at a time, and calls body(first, end, packed) for each group.
template <class T, class Body>
void by_panels_of_weight(const EmbeddingConcatLinearForward& p, Context& context, const Body& body) {
  const int64_t hidden = p.shape.hidden, k_count = p.shape.block * p.shape.embed;
  const auto pack = [&](int64_t panel, T* packed) {
    pack_transposed(static_cast<const T*>(p.linear_weight), k_count, hidden, k_count, panel, packed);
  };
  by_packed_panels<T>(context, hidden, k_count, pack, body);
}

// Makes P: one row per symbol and position, `stride` apart. The rows of position 0 have the bias added.
template <class T>
T* build_table(const EmbeddingConcatLinearForward& p, const SymbolRows& symbols, int64_t stride, Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden;
  const T* embedding = static_cast<const T*>(p.embedding);
  const T* bias = static_cast<const T*>(p.linear_bias);
  T* table = scratch_array<T>(context, symbols.rows() * stride);

  const Panels<T> panels{hidden};
  const RowTiles tiles(symbols, context);
  by_panels_of_weight<T>(p, context, [&](int64_t first_panel, int64_t end_panel, const auto& packed) {
    const double micros = 2.0 * symbols.rows() * embed * (end_panel - first_panel) * kPanel<T> / kFlopsPerMicro;
    parallel_for(context, tiles.count, micros, [&](int64_t task) {
      const int64_t t = tiles.position[task], first = tiles.first[task];
      const int64_t rows = smaller(tiles.kRows, symbols.base[t + 1] - first);
      for_panels(panels, first_panel, end_panel, [&](auto nv, const Panel& panel) {
        constexpr int NV = decltype(nv)::value;
        const T* base = t == 0 && bias != nullptr ? bias + panel.column : nullptr;
        const PackedRows<T, NV> b{packed(panel.number) + t * embed * NV * kWidth<T>};
        for_tiles<NV>(first, first + rows, [&](int64_t r, int64_t count) {
          const auto a_of = [&](int64_t) {
            return rows_of_a<T>(count, [&](int64_t i) { return embedding + symbols.symbols[r + i] * embed; });
          };
          tile_of<NV, T>(count, 1, embed, a_of, b, [&](int i, const Vec<T>* sums) {
            finish_row<T, false, NV>(sums, base, panel.width, table + (r + i) * stride + panel.column);
          });
        });
      });
    });
  });
  return table;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
