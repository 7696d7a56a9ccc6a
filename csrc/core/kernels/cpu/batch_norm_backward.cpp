// The gradients of batch_norm, by channel. With dz = dy * (1 - y^2) for tanh and dz = dy without,
// g = weight * invstd and xhat = (x - mean) * invstd:
//
//   db = sum dz,  dw = sum dz * xhat,
//   dx = g * (dz - db / N - xhat * dw / N)   in training, where mean and invstd depend on x (Ioffe and Szegedy 2015),
//   dx = g * dz                              in evaluation.
#include "kernels/cpu/batch_norm_chunks.h"
#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = BatchNormBackward;

template <class Data, bool Tanh>
inline Vec<Compute<Data>> gradient(const Backward& p, int64_t at, int64_t lanes) {
  using T = Compute<Data>;
  const Vec<T> g = load_data(static_cast<const Data*>(p.grad_output) + at, lanes);
  if constexpr (!Tanh) return g;
  const Vec<T> y = load_data(static_cast<const Data*>(p.output) + at, lanes);
  return g * (1 - y * y);
}

// Asks for the memory that the walk will read some rows after element `at`.
template <int NV, bool Tanh, bool Input, class Data>
inline void read_ahead(const Backward& p, const RowBlocks<Data>& blocks, int64_t at) {
  blocks.template read_ahead<NV>(p.grad_output, at);
  if constexpr (Tanh) blocks.template read_ahead<NV>(p.output, at);
  if constexpr (Input) blocks.template read_ahead<NV>(p.input, at);
}

// Sums by channel. Both arrays are padded to whole vectors.
template <class T>
struct Sums {
  T* dz;   // sum of dz
  T* dzx;  // sum of dz * (x - mean)
};

template <class Data, bool Tanh>
void chunk_sums(const Backward& p, int64_t first, int64_t end, Sums<Compute<Data>> sums) {
  using T = Compute<Data>;
  const RowBlocks<Data> blocks = blocks_of<Data>(p, Tanh ? 3 : 2);
  blocks.walk(first, end, [&](int64_t n, int64_t n_end, auto nv, int64_t column, int64_t columns) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> mean[NV], dz_total[NV] = {}, dzx_total[NV] = {};
    load_columns<T, NV>(p.mean, column, columns, T(0), mean);
    const bool begin = n == first;
    for (; n < n_end; ++n) {
      read_ahead<NV, Tanh, true>(p, blocks, n * p.row_stride + column);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const int64_t at = n * p.row_stride + column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, columns);
        const Vec<T> dz = gradient<Data, Tanh>(p, at, lanes);
        dz_total[v] += dz;
        dzx_total[v] += dz * (load_data(static_cast<const Data*>(p.input) + at, lanes) - mean[v]);
      }
    }
    for (int v = 0; v < NV; ++v) {
      T* dz_at = sums.dz + column + v * kWidth<T>;
      T* dzx_at = sums.dzx + column + v * kWidth<T>;
      store(dz_at, begin ? dz_total[v] : load(dz_at) + dz_total[v]);
      store(dzx_at, begin ? dzx_total[v] : load(dzx_at) + dzx_total[v]);
    }
  });
}

// What dx is made of, by channel: dx = dz * g - a - (x - mean) * b.
template <class T>
struct Coefficients {
  T* g;
  T* a;
  T* b;
};

// Merges the sums of the chunks. Writes the gradients of weight and bias, and the coefficients of dx.
template <class T>
void finish_sums(const Backward& p, int64_t chunks, int64_t padded, const T* memory, Coefficients<T> coefficients) {
  for (int64_t c = 0; c < p.channels; c += kWidth<T>) {
    const int64_t lanes = smaller(kWidth<T>, p.channels - c);
    Vec<T> dz = {}, dzx = {};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      dz += load(memory + 2 * chunk * padded + c);
      dzx += load(memory + (2 * chunk + 1) * padded + c);
    }
    Vec<T> invstd, g;
    load_columns<T, 1>(p.invstd, c, lanes, T(1), &invstd);
    load_columns<T, 1>(p.weight, c, lanes, T(1), &g);
    g *= invstd;
    if (p.grad_bias != nullptr) store_first(static_cast<T*>(p.grad_bias) + c, dz, lanes);
    if (p.grad_weight != nullptr) store_first(static_cast<T*>(p.grad_weight) + c, dzx * invstd, lanes);
    store(coefficients.g + c, g);
    store(coefficients.a + c, dz / T(p.rows) * g);
    store(coefficients.b + c, dzx / T(p.rows) * (invstd * invstd) * g);
  }
}

template <class Data, bool Tanh, bool Training>
void input_gradient(const Backward& p, Coefficients<Compute<Data>> coefficients, Context& context) {
  using T = Compute<Data>;
  constexpr int64_t kRows = 64;
  const RowBlocks<Data> blocks = blocks_of<Data>(p, 1 + Tanh + Training);
  const double micros = double(p.rows) * p.channels * 4 * sizeof(Data) / kBytesPerMicro;
  parallel_for(context, ceil_div(p.rows, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, p.rows);
    blocks.walk(first, end, [&](int64_t n, int64_t n_end, auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> mean[NV], g[NV], a[NV], b[NV];
      load_columns<T, NV>(p.mean, column, columns, T(0), mean);
      load_vectors<NV>(coefficients.g + column, g);
      load_vectors<NV>(coefficients.a + column, a);
      load_vectors<NV>(coefficients.b + column, b);
      for (; n < n_end; ++n) {
        read_ahead<NV, Tanh, Training>(p, blocks, n * p.row_stride + column);
        blocks.template write_ahead<NV>(p.grad_input, n * p.row_stride + column);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          const int64_t at = n * p.row_stride + column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, columns);
          Vec<T> dx = gradient<Data, Tanh>(p, at, lanes) * g[v];
          if constexpr (Training) {
            dx -= a[v] + (load_data(static_cast<const Data*>(p.input) + at, lanes) - mean[v]) * b[v];
          }
          store_data(static_cast<Data*>(p.grad_input) + at, dx, lanes);
        }
      }
    });
  });
}

template <class Data, bool Tanh>
void backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const Chunks chunks{p.rows};
  const int64_t padded = Panels<T>{p.channels}.padded();
  const bool sums = p.training || p.grad_weight != nullptr || p.grad_bias != nullptr;
  const int64_t count = sums ? chunks.count() : 0;
  T* memory = scratch_array<T>(context, 2 * count * padded);  // of each chunk: its two sums
  T* coefficients = scratch_array<T>(context, 3 * padded);
  const Coefficients<T> named{coefficients, coefficients + padded, coefficients + 2 * padded};
  const double micros = double(p.rows) * p.channels * 3 * sizeof(Data) / kBytesPerMicro;
  parallel_for(context, count, micros, [&](int64_t chunk) {
    T* own = memory + 2 * chunk * padded;
    chunk_sums<Data, Tanh>(p, chunks.first(chunk), chunks.first(chunk + 1), {own, own + padded});
  });
  finish_sums<T>(p, count, padded, memory, named);
  if (p.grad_input == nullptr) return;
  if (p.training) {
    input_gradient<Data, Tanh, true>(p, named, context);
  } else {
    input_gradient<Data, Tanh, false>(p, named, context);
  }
}

}  // namespace

template <class Data>
void batch_norm_backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  if (p.rows == 0 || p.channels == 0) {  // there may be 2^62 rows without columns
    if (p.grad_weight != nullptr) fill_zero(static_cast<T*>(p.grad_weight), p.channels);
    if (p.grad_bias != nullptr) fill_zero(static_cast<T*>(p.grad_bias), p.channels);
    return;
  }
  if (p.activation == Activation::kTanh) {
    backward<Data, true>(p, context);
  } else {
    backward<Data, false>(p, context);
  }
}

template void batch_norm_backward<float>(const BatchNormBackward&, Context&);
template void batch_norm_backward<double>(const BatchNormBackward&, Context&);
template void batch_norm_backward<BFloat16>(const BatchNormBackward&, Context&);
template void batch_norm_backward<Float16>(const BatchNormBackward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
