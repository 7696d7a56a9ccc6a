// The backward pass, from the gradients of the logits down to those of the embedding.
#include "engine/training/optimizers.h"
#include "engine/training/passes.h"
#include "kernels/cpu/functions.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// ---- linears --------------------------------------------------------------------------------------------------------

// The gradient of columns [column, column + count) of one segment of a weight, x^T @ dz; with one chunk SGD moves the
// weight at once, and its gradient goes through no memory.
template <class T>
void multiply_weight(const StepState<T>& s, const LinearLayout& linear, int64_t segment, const T* x, int64_t x_stride,
                     const T* dz, int64_t column, int64_t count, int64_t rows, T* gradient_of_weight) {
  const int64_t columns = linear.weight_stride, first = segment * linear.inputs * columns + column;
  T* target = gradient_of_weight + first;
  const auto multiply_and = [&](const auto& finish) {
    multiply_transposed<T>(x, x_stride, linear.inputs, dz + column, columns, count, rows, target, columns, finish);
  };
  if (s.update_at_once) {
    T* weight = s.value(linear.weight) + first;
    const T rate = T(s.learning_rate);
    if (s.optimizer.momentum == 0 && s.optimizer.weight_decay == 0) {
      multiply_and([=](int64_t at, Vec<T> g) { store(weight + at, load(weight + at) - g * rate); });
    } else {
      T* momentum = s.optimizer.momentum != 0 ? s.state_at(Slot::kFirstState, linear.weight) + first : nullptr;
      multiply_and(
          [&](int64_t at, Vec<T> g) { update_sgd_at<T>(s.optimizer, weight + at, momentum + at, g, rate, s.updates); });
    }
  } else {
    multiply_and([=](int64_t at, Vec<T> g) { store(target + at, g); });
  }
}

// A chunk's share of the gradients of weight and bias.
template <class T>
void linear_gradients(const StepState<T>& s, const LinearLayout& linear, int64_t chunk, const T* x, const T* dz,
                      int64_t rows) {
  const int64_t columns = linear.weight_stride;
  T* weight = s.chunk_gradient(chunk, linear.weight);
  for (int64_t segment = 0; segment < linear.segments; ++segment) {
    multiply_weight(s, linear, segment, x + segment * linear.segment_stride, linear.transposed_stride(), dz, 0, columns,
                    rows, weight);
  }
  if (linear.bias >= 0) sum_rows<T>(dz, columns, columns, rows, s.chunk_gradient(chunk, linear.bias));
}

// The gradient before the tanh of `level`, whose output is the linear's input.
template <class T>
void input_gradient(const StepState<T>& s, const LinearLayout& linear, int64_t level, const T* dz, int64_t first,
                    int64_t rows) {
  const int64_t row = linear.transposed_stride();
  const T* y = s.levels[level].y.data() + first * row;
  T* target = s.levels[level].dz.data() + first * row;
  const LeftRows<T> left{dz, linear.weight_stride, 1, 0, linear.outputs};
  multiply<T>(left, rows, s.transposed.data() + linear.transposed, row, row,
              [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                for (int v = 0; v < decltype(nv)::value; ++v) {
                  const int64_t at = r * row + column + v * kWidth<T>;
                  const Vec<T> value = load(y + at);
                  store(target + at, sums[v] * (1 - value * value));
                }
              });
}

template <class T>
void normalise_backward(StepState<T>& s, int64_t l, int64_t batch) {
  LevelState<T>& state = s.levels[l];
  const LevelLayout& layout = s.layout.levels[l];
  const int64_t rows = batch * state.positions;
  const double share = s.biased_share(l, rows);
  T* weight_gradient = s.gradient(layout.norm_weight);
  T* dz = state.dz.data();  // in place
  batch_norm_backward<T>(
      {rows, s.stride(l), state.z.data(), nullptr, dz, s.norm_weight(l, share), state.mean.data(), state.invstd.data(),
       dz, weight_gradient, s.gradient(layout.norm_bias), true, Activation::kNone},
      s.context);
  for (int64_t c = 0; share != 1 && c < s.stride(l); ++c) weight_gradient[c] *= square_root(T(share));
}

// ---- sums per symbol ------------------------------------------------------------------------------------------------

// Adds the arrays of `size` values of all chunks to the first one's.
template <class T>
void merge_chunks(StepState<T>& s, T* sums, int64_t size, int64_t chunks) {
  if (chunks == 1) return;
  constexpr int64_t kSlice = 2048;
  parallel_for(s.context, ceil_div(size, kSlice), double(chunks) * size / kFlopsPerMicro, [&](int64_t task) {
    const int64_t end = smaller((task + 1) * kSlice, size);
    for (int64_t i = task * kSlice; i < end; i += kWidth<T>) {
      Vec<T> total = load(sums + i);
      for (int64_t chunk = 1; chunk < chunks; ++chunk) total += load(sums + chunk * size + i);
      store(sums + i, total);
    }
  });
}

// (rows of s.symbols, columns): the sum of dz over the examples that have the symbol at the position.
template <class T>
const T* sum_by_symbol(StepState<T>& s, int64_t batch, int64_t columns) {
  const int64_t group = s.symbols.block, positions = s.levels[0].positions;
  const int64_t size = s.symbols.rows() * columns;
  const int64_t chunks = ExampleChunks{batch}.count();
  T* sums = scratch_array<T>(s.context, chunks * size + kMostTileRows * columns);
  s.for_chunks(batch, 4.0 * batch * positions * columns * (group + 1), [&](int64_t chunk, int64_t first, int64_t end) {
    T* own = sums + chunk * size;
    fill_zero(own, size);
    for (int64_t r = first * positions; r < end * positions; ++r) {
      const T* dz = s.levels[0].dz.data() + r * columns;
      for (int64_t t = 0; t < group; ++t) {
        T* row = own + s.symbols.row_of[r * group + t] * columns;
        for (int64_t c = 0; c < columns; c += kWidth<T>) store(row + c, load(row + c) + load(dz + c));
      }
    }
  });
  merge_chunks(s, sums, size, chunks);
  return sums;
}

template <class T>
void embedding_gradient_from_logits(StepState<T>& s, int64_t batch) {
  const int64_t columns = s.layout.embedding_stride, size = s.network.vocab * columns;
  const int64_t chunks = ExampleChunks{batch}.count();
  T* sums = scratch_array<T>(s.context, chunks * size);
  s.for_chunks(batch, 4.0 * batch * columns, [&](int64_t chunk, int64_t first, int64_t end) {
    T* own = sums + chunk * size;
    fill_zero(own, size);
    for (int64_t i = first; i < end; ++i) {
      T* row = own + s.tokens.data()[i] * columns;
      const T* dlogits = s.logits.data() + i * columns;
      for (int64_t c = 0; c < columns; c += kWidth<T>) store(row + c, load(row + c) + load(dlogits + c));
    }
  });
  merge_chunks(s, sums, size, chunks);
  __builtin_memcpy(s.gradient(0), sums, size * sizeof(T));
}

// Sums of dz per symbol and position, and from them the gradients of the first level and of the embedding.
template <class T>
void first_level_gradients(StepState<T>& s, int64_t batch) {
  const LinearLayout& linear = s.layout.levels[0].linear;
  const SymbolRows& symbols = s.symbols;
  const int64_t columns = linear.weight_stride, inputs = linear.inputs, embedding_stride = s.layout.embedding_stride;
  const T* sums = sum_by_symbol(s, batch, columns);
  if (linear.bias >= 0) sum_rows<T>(sums, columns, columns, symbols.base[1], s.gradient(linear.bias));

  const double flops = 2.0 * symbols.rows() * inputs * columns;
  fill_zero(s.gradient(0), s.network.vocab * embedding_stride);
  for (int64_t t = 0; t < linear.segments; ++t) {  // in order: positions share symbols
    const int64_t base = symbols.base[t], count = symbols.base[t + 1] - base;
    constexpr int64_t kRows = 24;
    parallel_for(s.context, ceil_div(count, kRows), flops / linear.segments / kFlopsPerMicro, [&](int64_t task) {
      const int64_t first = base + task * kRows, rows = smaller(kRows, base + count - first);
      multiply_rows<T>(sums + first * columns, columns, rows, s.value(linear.weight) + t * inputs * columns, columns,
                       inputs, columns, [&](int64_t r, int64_t e, T product) {
                         s.gradient(symbols.symbols[first + r] * embedding_stride)[e] += product;
                       });
    });
  }

  const Panels<T> panels{columns};
  parallel_for(s.context, linear.segments * panels.count(), flops / kFlopsPerMicro, [&](int64_t task) {
    const int64_t t = task / panels.count(), panel = task % panels.count(), base = symbols.base[t];
    multiply_weight(s, linear, t, s.embedding_rows + base * embedding_stride, embedding_stride, sums + base * columns,
                    panels.first(panel), panels.vectors(panel) * kWidth<T>, symbols.base[t + 1] - base,
                    s.gradient(linear.weight));
  });
}

}  // namespace

template <class T>
void backward(StepState<T>& s, int64_t batch) {
  if (s.num_levels() == 0) return embedding_gradient_from_logits(s, batch);
  const LinearLayout& output = s.layout.output;
  const int64_t last = s.num_levels() - 1;
  s.for_chunks(batch, 4.0 * batch * output.inputs * output.weight_stride,
               [&](int64_t chunk, int64_t first, int64_t end) {
                 const T* y = s.levels[last].y.data() + first * output.segment_stride;
                 const T* dlogits = s.logits.data() + first * output.weight_stride;
                 linear_gradients(s, output, chunk, y, dlogits, end - first);
                 input_gradient(s, output, last, dlogits, first, end - first);
               });
  for (int64_t l = last; l > 0; --l) {
    const LinearLayout& linear = s.layout.levels[l].linear;
    if (s.network.levels[l].batch_norm) normalise_backward(s, l, batch);
    const int64_t positions = s.levels[l].positions;
    s.for_chunks(batch, 4.0 * batch * positions * linear.segments * linear.inputs * linear.weight_stride,
                 [&](int64_t chunk, int64_t first, int64_t end) {
                   const int64_t rows = (end - first) * positions;
                   const T* dz = s.levels[l].dz.data() + first * positions * linear.weight_stride;
                   linear_gradients(s, linear, chunk, input_rows(s, l, first * positions).rows, dz, rows);
                   input_gradient(s, linear, l - 1, dz, first * positions, rows);
                 });
  }
  if (s.network.levels[0].batch_norm) normalise_backward(s, 0, batch);
  first_level_gradients(s, batch);
}

template void backward(StepState<float>&, int64_t);
template void backward(StepState<double>&, int64_t);

}  // namespace namegen::cpu::NAMEGEN_ISA
