// The forward pass: rows per symbol for the first level, products for the others, and batch norm where there is one.
#include "engine/training/cpu/batch_norm_passes.h"
#include "engine/training/cpu/passes.h"
#include "engine/training/cpu/symbol_sums.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// ---- the first level ------------------------------------------------------------------------------------------------

// Gathers the embedding of every row of symbols.
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

// Computes rows [first, first + count) of the table, which all belong to position t.
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

// Computes rows of the output. Each is the sum of one row of the table for each position.
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

template <class T>
void make_table(const StepState<T>& s, T* table) {
  const SymbolRows& symbols = s.now->symbols;
  for (int64_t t = 0; t < symbols.block; ++t) {
    table_rows(s, s.layout.levels[0].linear, t, symbols.base[t], symbols.base[t + 1] - symbols.base[t], table);
  }
}

// Makes the table: a row for each symbol that occurs at each position. Where it is too little work for two threads to
// share, it is too little for one thread to read from another's cache as well. Each share of the chunks then makes a
// table of its own.
template <class T>
void begin_table(StepState<T>& s) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const SymbolRows& symbols = s.now->symbols;
  const int64_t size = symbols.rows() * linear.weight_stride;
  const double micros = 2.0 * linear.inputs * size / kFlopsPerMicro;
  const int64_t most_shares = s.shares(1e9);
  if (most_shares > 1 && s.context.threads(micros) == 1) {
    s.table_stride = s.most_symbol_rows() * linear.weight_stride;
    s.table = scratch_array<T>(s.context, most_shares * s.table_stride);
    gather_embedding(s);
    return;
  }
  s.table = scratch_array<T>(s.context, size);
  gather_embedding(s);
  s.table_stride = 0;
  const RowTiles tiles(symbols, s.context);
  parallel_for(s.context, tiles.count, micros, [&](int64_t task) {
    const int64_t t = tiles.position[task], first = tiles.first[task];
    table_rows(s, linear, t, first, smaller(tiles.kRows, symbols.base[t + 1] - first), s.table);
  });
}

// The output of the first level: sums of rows of the table.
template <class T>
void first_level_rows(const StepState<T>& s, const RowRange& range) {
  T* table = s.table + range.share * s.table_stride;
  if (s.table_stride > 0 && range.begins_share) make_table(s, table);
  if (s.norm(0)) {
    combine_any<false>(s, table, range, s.levels[0].z.data());
  } else {
    combine_any<true>(s, table, range, s.levels[0].y.data());
  }
}

// ---- the levels above -----------------------------------------------------------------------------------------------

// Calls store_at(row, column, z) with the vectors of left @ weight + bias.
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

// Copies the rows of the level below side by side into the rows of level l's input.
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
void hidden_level_rows(const StepState<T>& s, int64_t l, const RowRange& range) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const int64_t columns = linear.weight_stride;
  const bool norm = s.norm(l);
  if (s.joins(l)) join_rows(s, l, range);
  T* target = (norm ? s.levels[l].z.data() : s.levels[l].y.data()) + range.first * columns;
  linear_rows(s, linear, s.input(l) + range.first * linear.transposed_stride(), range.count(),
              [=](int64_t r, int64_t column, Vec<T> z) { store(target + r * columns + column, norm ? z : tanh(z)); });
}

// ---- passes over levels ---------------------------------------------------------------------------------------------

// Computes levels [begin, end). Only the last of them is waited for.
template <class T>
void levels_rows(const StepState<T>& s, int64_t begin, int64_t end, const RowRange& range) {
  const bool normalised_before = begin < s.num_levels() && s.joins(begin);
  if (begin > 0 && s.norm(begin - 1) && !normalised_before) normalise_rows(s, begin - 1, range);
  for (int64_t l = begin; l < end; ++l) {
    if (l == 0) {
      first_level_rows(s, range);
    } else {
      hidden_level_rows(s, l, range);
    }
  }
}

template <class T>
double levels_flops(const StepState<T>& s, int64_t begin, int64_t end) {
  double flops = 0;
  for (int64_t l = begin; l < end; ++l) {
    const LinearLayout& linear = s.layout.levels[l].linear;
    const double values = double(s.rows(l)) * linear.weight_stride;
    flops += values * (l == 0 ? double(linear.segments + 20) : 2.0 * linear.segments * linear.inputs);
  }
  return flops;
}

}  // namespace

template <class T>
void forward(StepState<T>& s, bool training) {
  if (s.num_levels() == 0) return;
  if (training) begin_symbol_sums(s);
  begin_table(s);
  int64_t begin = 0;
  for (int64_t l = 0; l < s.num_levels(); ++l) {
    if (!s.is_waited_for(l)) continue;
    const bool norm = s.norm(l);
    if (norm && training) begin_batch_norm(s, l);
    s.for_chunks(s.rows(l), levels_flops(s, begin, l + 1), [&](const RowRange& range) {
      levels_rows(s, begin, l + 1, range);
      if (norm && training) chunk_statistics(s, l, range);
    });
    begin = l + 1;
    if (!norm) continue;
    if (training) {
      finish_statistics(s, l);
    } else {
      use_running_statistics(s, l);
    }
    if (begin == s.num_levels() || !s.joins(begin)) continue;  // else the next pass begins with normalise_rows
    s.for_chunks(s.rows(l), 24.0 * s.rows(l) * s.stride(l),
                 [&](const RowRange& range) { normalise_rows(s, l, range); });
  }
}

template <class T>
double logits_flops(const StepState<T>& s) {
  const double values = double(s.now->outputs.count) * padded<T>(s.network.vocab);
  if (s.num_levels() == 0) return values;
  return levels_flops(s, s.last_pass(), s.num_levels()) + 2.0 * s.layout.output.inputs * values;
}

template <class T>
void logits_rows(const StepState<T>& s, const RowRange& range) {
  const int64_t columns = padded<T>(s.network.vocab);
  T* target = s.logits.data() + range.first * columns;
  if (s.num_levels() == 0) {  // the rows of the embedding are the logits
    for (int64_t r = range.first; r < range.end; ++r, target += columns) {
      __builtin_memcpy(target, s.value(s.now->outputs.parts[r] * columns), columns * sizeof(T));
    }
    return;
  }
  levels_rows(s, s.last_pass(), s.num_levels(), range);
  const int64_t last = s.num_levels() - 1;
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
template double logits_flops(const StepState<float>&);
template double logits_flops(const StepState<double>&);

}  // namespace namegen::cpu::NAMEGEN_ISA
