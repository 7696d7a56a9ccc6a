// The backward pass: from the gradients of the last level down to the sums per symbol, and to the gradient of the
// embedding.
#include "engine/training/cpu/batch_norm_passes.h"
#include "engine/training/cpu/linear_gradients.h"
#include "engine/training/cpu/passes.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// ---- the levels above the first -------------------------------------------------------------------------------------

// The gradients of level l's linear, and from there to the gradient of level l - 1.
template <class T>
void hidden_level_gradients(StepState<T>& s, int64_t l) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const int64_t rows = s.rows(l), columns = linear.weight_stride, inputs = linear.transposed_stride();
  const bool joined = s.network.levels[l].group > 1;  // as s.joins(l), since l > 0
  const bool norm = s.network.levels[l].batch_norm, norm_below = s.network.levels[l - 1].batch_norm;
  s.for_chunks(rows, 4.0 * rows * inputs * columns, [&](const RowRange& range) {
    if (norm) input_gradient_rows(s, l, range, StoreRows<T>{s.levels[l].dz.data(), columns});
    const T* dz = s.levels[l].dz.data() + range.first * columns;
    T* x = s.input(l) + range.first * inputs;
    for (int64_t segment = 0; segment < linear.segments; ++segment) {
      const int64_t offset = linear.weight + segment * linear.inputs * columns;
      weight_gradient<T>(
          s, offset, s.chunk_gradient(range.chunk, offset), columns,
          {x + segment * linear.segment_stride, inputs, linear.inputs, dz, columns, columns, range.count()});
    }
    if (linear.bias >= 0) {
      sum_rows<T>(dz, columns, columns, range.count(), s.chunk_gradient(range.chunk, linear.bias));
    }
    const InputGradient<T> product =
        input_gradient_of<T>(linear, s.transposed.data() + linear.transposed, dz, range.count());
    if (joined) {  // x has served, and is overwritten
      input_gradient(product, StoreRows<T>{x, inputs});
    } else {
      gradient_before_tanh(s, product, l - 1, range);
      if (norm_below) chunk_gradient_sums(s, l - 1, range);
    }
  });
}

// The gradient before the tanh of level l - 1, whose rows level l has joined. The gradient of a row is the sum over all
// parts that are made of it.
template <class T>
void gather_gradients(StepState<T>& s, int64_t l) {
  const LevelState<T>& below = s.levels[l - 1];
  const RowLists& readers = s.now->readers[l - 1];
  const int64_t rows = s.rows(l - 1), columns = s.stride(l - 1);
  const double parts = double(s.rows(l)) * s.network.levels[l].group;
  s.for_chunks(rows, 4.0 * (parts + rows) * columns, [&](const RowRange& range) {
    const T* dx = s.levels[l].x.data();
    for (int64_t r = range.first; r < range.end; ++r) {
      const int64_t begin = readers.begin[r], end = readers.begin[r + 1];
      for (int64_t c = 0; c < columns; c += kWidth<T>) {
        Vec<T> dy = {};
        for (int64_t i = begin; i < end; ++i) dy += load(dx + readers.members[i] * columns + c);
        const Vec<T> y = load(below.y.data() + r * columns + c);
        store(below.dz.data() + r * columns + c, dy * (1 - y * y));
      }
    }
    if (s.network.levels[l - 1].batch_norm) chunk_gradient_sums(s, l - 1, range);
  });
}

// ---- the first level: sums per symbol -------------------------------------------------------------------------------

// The sums per symbol, where the gradient of the first level needs a pass: the level has batch norm, or its gradient
// was gathered.
template <class T>
void sum_by_symbol(StepState<T>& s) {
  const LevelState<T>& state = s.levels[0];
  const int64_t rows = s.rows(0), columns = s.stride(0);
  s.for_chunks(rows, 4.0 * rows * columns * (s.now->symbols.block + 1), [&](const RowRange& range) {
    const SymbolSums<T> sums(s, range);
    if (s.network.levels[0].batch_norm) {
      input_gradient_rows(s, 0, range, [=, &range](int64_t r, int64_t column, auto nv, const Vec<T>* gradient) {
        sums.template add<decltype(nv)::value>(r - range.first, column, gradient);
      });
      return;
    }
    for (int64_t r = range.first; r < range.end; ++r) {
      for (int64_t c = 0; c < columns; c += kWidth<T>) {
        const Vec<T> dz = load(state.dz.data() + r * columns + c);
        sums.template add<1>(r - range.first, c, &dz);
      }
    }
  });
}

// Without levels the gradients of the logits are those of the embedding's rows.
template <class T>
void embedding_gradient_from_logits(StepState<T>& s) {
  const int64_t columns = s.layout.embedding_stride;
  fill_zero(s.gradient(0), s.network.vocab * columns);
  for (int64_t r = 0; r < s.now->outputs.count; ++r) {
    __builtin_memcpy(s.gradient(s.now->outputs.parts[r] * columns), s.logits.data() + r * columns, columns * sizeof(T));
  }
}

}  // namespace

template <class T>
void backward(StepState<T>& s) {
  if (s.num_levels() == 0) return embedding_gradient_from_logits(s);
  for (int64_t l = s.num_levels() - 1; l >= 0; --l) {
    if (s.network.levels[l].batch_norm) finish_gradient_sums(s, l);
    if (l == 0) break;
    hidden_level_gradients(s, l);
    if (s.joins(l)) gather_gradients(s, l);
  }
  const bool has_joined = s.num_levels() > 1 && s.joins(1);
  if (has_joined || s.network.levels[0].batch_norm) sum_by_symbol(s);  // else gradient_before_tanh made the sums
}

template <class T>
void first_level_gradients(StepState<T>& s) {
  if (s.num_levels() == 0) return;
  merge_symbol_sums(s);
  const LinearLayout& linear = s.layout.levels[0].linear;
  const SymbolRows& symbols = s.now->symbols;
  const int64_t columns = linear.weight_stride, inputs = linear.inputs, embedding_stride = s.layout.embedding_stride;
  const T* sums = s.symbol_sums;
  if (linear.bias >= 0) sum_rows<T>(sums, columns, columns, symbols.base[1], s.gradient(linear.bias));

  const double flops = 2.0 * symbols.rows() * inputs * columns;
  fill_zero(s.gradient(0), s.network.vocab * embedding_stride);
  for (int64_t t = 0; t < linear.segments; ++t) {  // one after the other: positions share symbols
    const int64_t base = symbols.base[t], count = symbols.base[t + 1] - base;
    constexpr int64_t kRows = 24;
    parallel_for(s.context, ceil_div(count, kRows), flops / linear.segments / kFlopsPerMicro, [&](int64_t task) {
      const int64_t first = base + task * kRows, rows = smaller(kRows, base + count - first);
      multiply_rows<T>(sums + first * columns, columns, rows, s.value(linear.weight) + t * inputs * columns, columns,
                       inputs, linear.outputs, [&](int64_t r, int64_t e, T product) {
                         s.gradient(symbols.symbols[first + r] * embedding_stride)[e] += product;
                       });
    });
  }

  const Panels<T> panels{columns};
  parallel_for(s.context, linear.segments * panels.count(), flops / kFlopsPerMicro, [&](int64_t task) {
    const int64_t t = task / panels.count(), panel = task % panels.count(), base = symbols.base[t];
    const int64_t column = panels.first(panel), offset = linear.weight + t * inputs * columns + column;
    weight_gradient<T>(
        s, offset, s.gradient(offset), columns,
        {s.embedding_rows + base * embedding_stride, embedding_stride, inputs, sums + base * columns + column, columns,
         panels.vectors(panel) * kWidth<T>, symbols.base[t + 1] - base});
  });
}

template void backward(StepState<float>&);
template void backward(StepState<double>&);
template void first_level_gradients(StepState<float>&);
template void first_level_gradients(StepState<double>&);

}  // namespace namegen::cpu::NAMEGEN_ISA
