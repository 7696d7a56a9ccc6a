// The forward pass: rows per symbol for the first level, products for the others, batch norm where there is one.
#include "engine/training/batch_norm.h"
#include "engine/training/passes.h"
#include "engine/training/symbol_sums.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// ---- the first level ------------------------------------------------------------------------------------------------

// The embedding of every row of symbols.
template <class T>
void gather_embedding(StepState<T>& s) {
  const int64_t columns = s.layout.embedding_stride;
  T* rows = scratch_array<T>(s.context, s.now->symbols.rows() * columns);
  for (int64_t r = 0; r < s.now->symbols.rows(); ++r) {
    const T* source = s.value(s.now->symbols.symbols[r] * columns);
    for (int64_t c = 0; c < columns; c += kWidth<T>) store(rows + r * columns + c, load(source + c));
  }
  s.embedding_rows = rows;
}

// Rows [first, first + count) of the table, all of position t.
template <class T>
void table_rows(const StepState<T>& s, const LinearLayout& linear, int64_t t, int64_t first, int64_t count, T* table) {
  const int64_t columns = linear.weight_stride;
  const T* bias = t == 0 && linear.bias >= 0 ? s.value(linear.bias) : nullptr;
  const int64_t embed = s.layout.embedding_stride;
  const LeftRows<T> left{s.embedding_rows + first * embed, embed, 1, 0, linear.inputs};
  multiply<T>(left, count, s.value(linear.weight) + t * linear.inputs * columns, columns, columns,
              [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
                T* target = table + (first + r) * columns + column;
#pragma GCC unroll 4
                for (int v = 0; v < decltype(nv)::value; ++v) {
                  const Vec<T> z = bias == nullptr ? sums[v] : sums[v] + load(bias + column + v * kWidth<T>);
                  store(target + v * kWidth<T>, z);
                }
              });
}

template <int Group, bool Tanh, class T>
void combine(const StepState<T>& s, const T* table, const RowRange& range, T* output) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const int64_t group = Group > 0 ? Group : linear.segments, columns = linear.weight_stride;
  for (int64_t r = range.first; r < range.end; ++r) {
    const int32_t* row_of = s.now->symbols.row_of + r * group;
    const T* row[Group > 0 ? Group : 1];
    for (int t = 0; t < Group; ++t) row[t] = table + row_of[t] * columns;
    T* target = output + r * columns;
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      Vec<T> z = load((Group > 0 ? row[0] : table + row_of[0] * columns) + c);
      for (int64_t t = 1; t < group; ++t) z += load((Group > 0 ? row[t] : table + row_of[t] * columns) + c);
      store(target + c, Tanh ? tanh(z) : z);
    }
  }
}

// Rows of the output: each the sum of one row of the table a position.
template <bool Tanh, class T>
void combine_any(const StepState<T>& s, const T* table, const RowRange& range, T* output) {
  switch (s.layout.levels[0].linear.segments) {
    case 2:
      return combine<2, Tanh>(s, table, range, output);
    case 3:
      return combine<3, Tanh>(s, table, range, output);
    case 8:
      return combine<8, Tanh>(s, table, range, output);
    default:
      return combine<0, Tanh>(s, table, range, output);
  }
}

// Rows per symbol and position that occurs, then their sums per context.
template <class T>
void first_level(StepState<T>& s, bool training) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const LevelState<T>& state = s.levels[0];
  const int64_t rows = s.rows(0), columns = linear.weight_stride;
  if (training) begin_symbol_sums(s);
  gather_embedding(s);
  T* table = scratch_array<T>(s.context, s.now->symbols.rows() * columns);
  const RowTiles tiles(s.now->symbols, s.context);
  const double flops = 2.0 * s.now->symbols.rows() * linear.inputs * columns;
  parallel_for(s.context, tiles.count, flops / kFlopsPerMicro, [&](int64_t task) {
    const int64_t t = tiles.position[task], first = tiles.first[task];
    table_rows(s, linear, t, first, smaller(tiles.kRows, s.now->symbols.base[t + 1] - first), table);
  });
  const bool norm = s.network.levels[0].batch_norm;
  s.for_chunks(rows, double(rows) * columns * (linear.segments + 20), [&](const RowRange& range) {
    if (norm) {
      combine_any<false>(s, table, range, state.z.data());
      if (training) chunk_statistics(s, 0, range);
    } else {
      combine_any<true>(s, table, range, state.y.data());
    }
  });
}

// ---- the levels above -----------------------------------------------------------------------------------------------

// store_at(row, column, z): the vectors of left @ weight + bias.
template <class T, class Store>
void linear_rows(const StepState<T>& s, const LinearLayout& linear, const T* left, int64_t rows,
                 const Store& store_at) {
  const T* bias = linear.bias >= 0 ? s.value(linear.bias) : nullptr;
  const LeftRows<T> left_rows{left, linear.transposed_stride(), linear.segments, linear.segment_stride, linear.inputs};
  multiply<T>(left_rows, rows, s.value(linear.weight), linear.weight_stride, linear.weight_stride,
              [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                for (int v = 0; v < decltype(nv)::value; ++v) {
                  const int64_t at = column + v * kWidth<T>;
                  store_at(r, at, bias == nullptr ? sums[v] : sums[v] + load(bias + at));
                }
              });
}

// The rows of the level below that make up rows of level l's input, side by side.
template <class T>
void join_rows(const StepState<T>& s, int64_t l, const RowRange& range) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const int64_t columns = linear.segment_stride;
  const int32_t* parts = s.now->rows[l].parts;
  T* target = s.levels[l].x.data() + range.first * linear.transposed_stride();
  for (int64_t part = range.first * linear.segments; part < range.end * linear.segments; ++part, target += columns) {
    const T* source = s.levels[l - 1].y.data() + parts[part] * columns;
    for (int64_t c = 0; c < columns; c += kWidth<T>) store(target + c, load(source + c));
  }
}

template <class T>
void hidden_level(StepState<T>& s, int64_t l, bool training) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const LevelState<T>& state = s.levels[l];
  const int64_t rows = s.rows(l), columns = linear.weight_stride;
  const bool norm = s.network.levels[l].batch_norm;
  T* output = norm ? state.z.data() : state.y.data();
  s.for_chunks(rows, 2.0 * rows * linear.segments * linear.inputs * columns, [&](const RowRange& range) {
    if (s.joins(l)) join_rows(s, l, range);
    T* target = output + range.first * columns;
    linear_rows(s, linear, s.input(l) + range.first * linear.transposed_stride(), range.count(),
                [=](int64_t r, int64_t column, Vec<T> z) { store(target + r * columns + column, norm ? z : tanh(z)); });
    if (norm && training) chunk_statistics(s, l, range);
  });
}

}  // namespace

template <class T>
void forward(StepState<T>& s, bool training) {
  for (int64_t l = 0; l < s.num_levels(); ++l) {
    const bool norm = s.network.levels[l].batch_norm;
    if (norm && training) begin_batch_norm(s, l);
    if (l == 0) {
      first_level(s, training);
    } else {
      hidden_level(s, l, training);
    }
    if (!norm) continue;
    if (training) {
      finish_statistics(s, l);
    } else {
      use_running_statistics(s, l);
    }
    if (l == s.num_levels() - 1) break;  // logits_rows does the rest
    const int64_t rows = s.rows(l);
    s.for_chunks(rows, 24.0 * rows * s.stride(l), [&](const RowRange& range) { normalise_rows(s, l, range); });
  }
}

template <class T>
void logits_rows(const StepState<T>& s, const RowRange& range) {
  const int64_t columns = padded<T>(s.network.vocab);
  T* target = s.logits.data() + range.first * columns;
  if (s.num_levels() == 0) {  // the embedding's rows are the logits
    for (int64_t r = range.first; r < range.end; ++r, target += columns) {
      __builtin_memcpy(target, s.value(s.now->outputs.parts[r] * columns), columns * sizeof(T));
    }
    return;
  }
  const int64_t last = s.num_levels() - 1;
  if (s.network.levels[last].batch_norm) normalise_rows(s, last, range);
  const LinearLayout& linear = s.layout.output;
  const T* bias = linear.bias >= 0 ? s.value(linear.bias) : nullptr;
  multiply_rows<T>(s.levels[last].y.data() + range.first * s.stride(last), s.stride(last), range.count(),
                   s.value(linear.weight), linear.segment_stride, linear.outputs, linear.inputs,
                   [=](int64_t r, int64_t symbol, T product) {
                     target[r * columns + symbol] = bias == nullptr ? product : product + bias[symbol];
                   });
}

template void forward(StepState<float>&, bool);
template void forward(StepState<double>&, bool);
template void logits_rows(const StepState<float>&, const RowRange&);
template void logits_rows(const StepState<double>&, const RowRange&);

}  // namespace namegen::cpu::NAMEGEN_ISA
