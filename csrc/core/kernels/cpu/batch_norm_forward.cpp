// y = activation((x - mean) * invstd * weight + bias), by channel, x (N, C).
//
// In training the rows are cut into pieces. The mean of a piece is formed first, then the sum of squared deviations
// from it, both exact to rounding. Pieces and chunks merge by Chan, Golub and LeVeque (1979): M = M_a + M_b + delta^2
// n_a n_b / n.
#include "kernels/cpu/batch_norm_chunks.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// sums[c] = sum of term(x, c) over the values x of column c in rows [first, end).
template <class Data, class Term>
void sum_rows(const BatchNormForward& p, int64_t first, int64_t end, const RowBlocks<Data>& blocks, Compute<Data>* sums,
              const Term& term) {
  using T = Compute<Data>;
  blocks.walk(first, end, [&](int64_t n, int64_t n_end, auto nv, int64_t column, int64_t columns) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> total[NV] = {};
    if (n > first) load_vectors<NV>(sums + column, total);
    for (; n < n_end; ++n) {
      blocks.template read_ahead<NV>(p.input, n * p.row_stride + column);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const Data* x = static_cast<const Data*>(p.input) + n * p.row_stride + column + v * kWidth<T>;
        total[v] += term(load_data(x, lanes_of<T, NV>(v, columns)), column + v * kWidth<T>);
      }
    }
    store_vectors<NV>(sums + column, total);
  });
}

// Rows whose mean and deviations are formed by two passes over them. The second pass finds them in the L2 cache.
constexpr int64_t kPieceRows = 128;

// Writes mean and deviations (each C, padded) of rows [first, end). `piece` has room for another of each.
template <class Data>
void chunk_statistics(const BatchNormForward& p, int64_t first, int64_t end, Compute<Data>* mean,
                      Compute<Data>* deviations, Compute<Data>* piece) {
  using T = Compute<Data>;
  const int64_t padded = Panels<T>{p.channels}.padded();
  const RowBlocks<Data> blocks = blocks_of<Data>(p, 1);
  for (int64_t n = first; n < end; n += kPieceRows) {
    const int64_t rows = smaller(kPieceRows, end - n);
    T* piece_mean = n == first ? mean : piece;
    T* piece_deviations = n == first ? deviations : piece + padded;
    sum_rows<Data>(p, n, n + rows, blocks, piece_mean, [](Vec<T> x, int64_t) { return x; });
    for (int64_t c = 0; c < padded; c += kWidth<T>) store(piece_mean + c, load(piece_mean + c) / T(rows));
    sum_rows<Data>(p, n, n + rows, blocks, piece_deviations, [&](Vec<T> x, int64_t c) {
      const Vec<T> delta = x - load(piece_mean + c);
      return delta * delta;
    });
    if (n > first) {
      merge_statistics(padded, T(n - first), mean, deviations, T(rows), piece_mean, piece_deviations);
    }
  }
}

// Writes the mean and invstd of the batch, and moves the running statistics.
template <class Data>
void batch_statistics(const BatchNormForward& p, Context& context) {
  using T = Compute<Data>;
  const Chunks chunks{p.rows};
  const int64_t padded = Panels<T>{p.channels}.padded();
  const Context::Mark before_scratch = context.mark();
  // Of each chunk: mean, deviations, and two arrays for a piece.
  T* memory = scratch_array<T>(context, chunks.count() * 4 * padded);
  const double micros = double(p.rows) * p.channels * (sizeof(Data) + 4) / kBytesPerMicro;
  parallel_for(context, chunks.count(), micros, [&](int64_t chunk) {
    T* own = memory + chunk * 4 * padded;
    chunk_statistics<Data>(p, chunks.first(chunk), chunks.first(chunk + 1), own, own + padded, own + 2 * padded);
  });

  T* running_mean = static_cast<T*>(p.running_mean);
  T* running_var = static_cast<T*>(p.running_var);
  const T momentum = static_cast<T>(p.momentum);
  for (int64_t c = 0; c < p.channels; c += kWidth<T>) {
    const int64_t lanes = smaller(kWidth<T>, p.channels - c);
    Vec<T> m = load(memory + c), d = load(memory + padded + c);
    for (int64_t chunk = 1; chunk < chunks.count(); ++chunk) {
      const int64_t before = chunks.first(chunk), rows = chunks.first(chunk + 1) - before;
      const T* own = memory + chunk * 4 * padded;
      merge_statistics(T(before), m, d, T(rows), load(own + c), load(own + padded + c));
    }
    const Vec<T> variance = d / T(p.rows);
    const Vec<T> invstd = T(1) / square_roots(variance + T(p.eps));
    store_first(static_cast<T*>(p.mean) + c, m, lanes);
    store_first(static_cast<T*>(p.invstd) + c, invstd, lanes);
    if (running_mean != nullptr) {
      const Vec<T> old = load_first(running_mean + c, lanes);
      store_first(running_mean + c, old * (T(1) - momentum) + m * momentum, lanes);
    }
    if (running_var != nullptr) {
      const Vec<T> old = load_first(running_var + c, lanes), unbiased = d / T(p.rows - 1);
      store_first(running_var + c, old * (T(1) - momentum) + unbiased * momentum, lanes);
    }
  }
  context.return_to(before_scratch);
}

template <class Data, bool Tanh>
void normalise(const BatchNormForward& p, Context& context) {
  using T = Compute<Data>;
  // The parameters of each column, in whole vectors.
  const int64_t padded = Panels<T>{p.channels}.padded();
  T* const means = scratch_array<T>(context, 3 * padded);
  T* const scales = means + padded;
  T* const biases = scales + padded;
  for (int64_t c = 0; c < p.channels; c += kWidth<T>) {
    const int64_t lanes = smaller(kWidth<T>, p.channels - c);
    Vec<T> mean, invstd, weight, bias;
    load_columns<T, 1>(p.mean, c, lanes, T(0), &mean);
    load_columns<T, 1>(p.invstd, c, lanes, T(1), &invstd);
    load_columns<T, 1>(p.weight, c, lanes, T(1), &weight);
    load_columns<T, 1>(p.bias, c, lanes, T(0), &bias);
    store(means + c, mean);
    store(scales + c, weight * invstd);
    store(biases + c, bias);
  }

  constexpr int64_t kRows = 64;
  const RowBlocks<Data> blocks = blocks_of<Data>(p, 1);
  const double micros = double(p.rows) * p.channels * (2 * sizeof(Data) + (Tanh ? 8 : 0)) / kBytesPerMicro;
  parallel_for(context, ceil_div(p.rows, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, p.rows);
    blocks.walk(first, end, [&](int64_t n, int64_t n_end, auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> mean[NV], scale[NV], bias[NV];
      load_vectors<NV>(means + column, mean);
      load_vectors<NV>(scales + column, scale);
      load_vectors<NV>(biases + column, bias);
      for (; n < n_end; ++n) {
        const int64_t at = n * p.row_stride + column;
        blocks.template read_ahead<NV>(p.input, at);
        blocks.template write_ahead<NV>(p.output, at);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          const int64_t lanes = lanes_of<T, NV>(v, columns);
          const Vec<T> x = load_data(static_cast<const Data*>(p.input) + at + v * kWidth<T>, lanes);
          const Vec<T> z = (x - mean[v]) * scale[v] + bias[v];
          store_data(static_cast<Data*>(p.output) + at + v * kWidth<T>, Tanh ? tanh(z) : z, lanes);
        }
      }
    });
  });
}

}  // namespace

template <class Data>
void batch_norm_forward(const BatchNormForward& p, Context& context) {
  if (p.rows == 0 || p.channels == 0) return;
  if (p.training) batch_statistics<Data>(p, context);
  if (p.activation == Activation::kTanh) {
    normalise<Data, true>(p, context);
  } else {
    normalise<Data, false>(p, context);
  }
}

template void batch_norm_forward<float>(const BatchNormForward&, Context&);
template void batch_norm_forward<double>(const BatchNormForward&, Context&);
template void batch_norm_forward<BFloat16>(const BatchNormForward&, Context&);
template void batch_norm_forward<Float16>(const BatchNormForward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
