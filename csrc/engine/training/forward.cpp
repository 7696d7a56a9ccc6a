// The forward pass: rows per symbol for the first level, products for the others, batch norm where there is one.
#include "engine/training/passes.h"
#include "kernels/cpu/functions.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// ---- the first level ------------------------------------------------------------------------------------------------

// The embedding of every row of s.symbols.
template <class T>
void gather_embedding(StepState<T>& s) {
  const int64_t columns = s.layout.embedding_stride;
  T* rows = scratch_array<T>(s.context, (s.symbols.rows() + kMostTileRows) * columns);
  for (int64_t r = 0; r < s.symbols.rows(); ++r) {
    const T* source = s.value(s.symbols.symbols[r] * columns);
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
void combine(const StepState<T>& s, const T* table, int64_t first, int64_t end, T* output) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const int64_t group = Group > 0 ? Group : linear.segments, columns = linear.weight_stride;
  for (int64_t r = first; r < end; ++r) {
    const int32_t* row_of = s.symbols.row_of + r * group;
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      Vec<T> z = load(table + row_of[0] * columns + c);
      for (int64_t t = 1; t < group; ++t) z += load(table + row_of[t] * columns + c);
      store(output + r * columns + c, Tanh ? tanh(z) : z);
    }
  }
}

// Rows [first, end) of the output: each the sum of one row of the table a position.
template <bool Tanh, class T>
void combine_any(const StepState<T>& s, const T* table, int64_t first, int64_t end, T* output) {
  switch (s.layout.levels[0].linear.segments) {
    case 2:
      return combine<2, Tanh>(s, table, first, end, output);
    case 3:
      return combine<3, Tanh>(s, table, first, end, output);
    case 8:
      return combine<8, Tanh>(s, table, first, end, output);
    default:
      return combine<0, Tanh>(s, table, first, end, output);
  }
}

// Rows per symbol and position that occurs, then their sums per example.
template <class T>
void first_level(StepState<T>& s, int64_t batch) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const int64_t positions = s.levels[0].positions, rows = batch * positions, columns = linear.weight_stride;
  s.symbols = number_symbols({rows, linear.segments, s.network.vocab, linear.inputs, linear.outputs}, s.tokens.data(),
                             s.context);
  gather_embedding(s);
  T* table = scratch_array<T>(s.context, (s.symbols.rows() + kMostTileRows) * columns);
  const RowTiles tiles(s.symbols, s.context);
  const double flops = 2.0 * s.symbols.rows() * linear.inputs * columns;
  parallel_for(s.context, tiles.count, flops / kFlopsPerMicro, [&](int64_t task) {
    const int64_t t = tiles.position[task], first = tiles.first[task];
    table_rows(s, linear, t, first, smaller(tiles.kRows, s.symbols.base[t + 1] - first), table);
  });
  const bool norm = s.network.levels[0].batch_norm;
  T* output = norm ? s.levels[0].z.data() : s.levels[0].y.data();
  s.for_chunks(batch, double(rows) * columns * (linear.segments + (norm ? 1 : 20)),
               [&](int64_t, int64_t first, int64_t end) {
                 const auto combine = norm ? combine_any<false, T> : combine_any<true, T>;
                 combine(s, table, first * positions, end * positions, output);
               });
}

// ---- the levels above -----------------------------------------------------------------------------------------------

// store_at(row, column, z): the vectors of left @ weight + bias.
template <class T, class Store>
void linear_rows(const StepState<T>& s, const LinearLayout& linear, const LeftRows<T>& left, int64_t rows,
                 const Store& store_at) {
  const T* bias = linear.bias >= 0 ? s.value(linear.bias) : nullptr;
  multiply<T>(left, rows, s.value(linear.weight), linear.weight_stride, linear.weight_stride,
              [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                for (int v = 0; v < decltype(nv)::value; ++v) {
                  const int64_t at = column + v * kWidth<T>;
                  store_at(r, at, bias == nullptr ? sums[v] : sums[v] + load(bias + at));
                }
              });
}

template <class T>
void hidden_level(StepState<T>& s, int64_t l, int64_t batch) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const int64_t positions = s.levels[l].positions, columns = linear.weight_stride;
  const bool norm = s.network.levels[l].batch_norm;
  T* output = norm ? s.levels[l].z.data() : s.levels[l].y.data();
  s.for_chunks(batch, 2.0 * batch * positions * linear.segments * linear.inputs * columns,
               [&](int64_t, int64_t first, int64_t end) {
                 T* rows = output + first * positions * columns;
                 linear_rows(s, linear, input_rows(s, l, first * positions), (end - first) * positions,
                             [=](int64_t r, int64_t column, Vec<T> z) {
                               store(rows + r * columns + column, norm ? z : tanh(z));
                             });
               });
}

template <class T>
void normalise(StepState<T>& s, int64_t l, int64_t batch, bool training) {
  LevelState<T>& state = s.levels[l];
  const engine::Level& level = s.network.levels[l];
  const int64_t channels = s.stride(l);
  const int64_t rows = batch * state.positions;
  T* mean = training ? state.mean.data() : state.running_mean.data();
  if (!training) {
    for (int64_t c = 0; c < channels; ++c) {
      state.invstd.data()[c] = T(1) / square_root(state.running_var.data()[c] + T(level.eps));
    }
  }
  const double share = training ? s.biased_share(l, rows) : 1;
  batch_norm_forward<T>({rows, channels, state.z.data(), state.y.data(), s.norm_weight(l, share),
                         s.value(s.layout.levels[l].norm_bias), mean, state.invstd.data(), state.running_mean.data(),
                         state.running_var.data(), training, level.momentum, level.eps * share, Activation::kTanh},
                        s.context);
}

// ---- the logits -----------------------------------------------------------------------------------------------------

template <class T>
void output_logits(StepState<T>& s, int64_t batch) {
  const LinearLayout& linear = s.layout.output;
  const int64_t columns = linear.weight_stride;
  const T* y = s.levels[s.num_levels() - 1].y.data();
  s.for_chunks(batch, 2.0 * batch * linear.inputs * columns, [&](int64_t, int64_t first, int64_t end) {
    const LeftRows<T> left{y + first * linear.segment_stride, linear.segment_stride, 1, 0, linear.inputs};
    T* rows = s.logits.data() + first * columns;
    linear_rows(s, linear, left, end - first,
                [=](int64_t r, int64_t column, Vec<T> z) { store(rows + r * columns + column, z); });
  });
}

template <class T>
void embedding_as_logits(StepState<T>& s, int64_t batch) {
  const int64_t columns = s.layout.embedding_stride;
  s.for_chunks(batch, double(batch) * columns, [&](int64_t, int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      __builtin_memcpy(s.logits.data() + i * columns, s.value(s.tokens.data()[i] * columns), columns * sizeof(T));
    }
  });
}

}  // namespace

template <class T>
void forward(StepState<T>& s, int64_t batch, bool training) {
  if (s.num_levels() == 0) return embedding_as_logits(s, batch);
  for (int64_t l = 0; l < s.num_levels(); ++l) {
    if (l == 0) {
      first_level(s, batch);
    } else {
      hidden_level(s, l, batch);
    }
    if (s.network.levels[l].batch_norm) normalise(s, l, batch, training);
  }
  output_logits(s, batch);
}

template void forward(StepState<float>&, int64_t, bool);
template void forward(StepState<double>&, int64_t, bool);

}  // namespace namegen::cpu::NAMEGEN_ISA
