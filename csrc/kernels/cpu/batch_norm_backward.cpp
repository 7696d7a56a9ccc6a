// The gradients of batch_norm, by channel. With dz = dy * (1 - y^2) for tanh and dz = dy without,
// g = weight * invstd and xhat = (x - mean) * invstd:
//
//   db = sum dz,  dw = sum dz * xhat,
//   dx = g * (dz - db / N - xhat * dw / N)   in training, where mean and invstd depend on x (Ioffe and Szegedy 2015),
//   dx = g * dz                              in evaluation.
#include "kernels/cpu/batch_norm.h"
#include "kernels/cpu/functions.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = BatchNormBackward;

template <class Data, bool Tanh>
inline Vec<Compute<Data>> gradient(const Backward& p, int64_t at, int64_t lanes) {
  using T = Compute<Data>;
  const Vec<T> g = load_data(static_cast<const Data*>(p.grad_output) + at, lanes);
  if constexpr (!Tanh) return g;
  const Vec<T> y = load_data(static_cast<const Data*>(p.output) + at, lanes);
  return g - g * y * y;
}

// sum_dz and sum_dzx = sum dz * (x - mean) (each C, padded) over rows [first, end), piece by piece.
template <class Data, bool Tanh>
void chunk_sums(const Backward& p, int64_t first, int64_t end, Compute<Data>* sum_dz, Compute<Data>* sum_dzx) {
  using T = Compute<Data>;
  for (int64_t piece = first; piece < end; piece += kPieceRows) {
    for_panels<T>(p.channels, [&](auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> mean[NV], dz_total[NV] = {}, dzx_total[NV] = {};
      load_columns<T, NV>(static_cast<const T*>(p.mean) + column, columns, T(0), mean);
      for (int64_t n = piece; n < smaller(piece + kPieceRows, end); ++n) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          const int64_t at = n * p.channels + column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, columns);
          const Vec<T> dz = gradient<Data, Tanh>(p, at, lanes);
          dz_total[v] += dz;
          dzx_total[v] += dz * (load_data(static_cast<const Data*>(p.input) + at, lanes) - mean[v]);
        }
      }
      for (int v = 0; v < NV; ++v) {
        T* dz_at = sum_dz + column + v * kWidth<T>;
        T* dzx_at = sum_dzx + column + v * kWidth<T>;
        store(dz_at, piece == first ? dz_total[v] : load(dz_at) + dz_total[v]);
        store(dzx_at, piece == first ? dzx_total[v] : load(dzx_at) + dzx_total[v]);
      }
    });
  }
}

// dx = dz * g - a - (x - mean) * b, with a and b (each C, padded) from the sums, or none in evaluation.
template <class Data, bool Tanh, bool Training>
void input_gradient(const Backward& p, const Compute<Data>* sum_dz, const Compute<Data>* sum_dzx, Context& context) {
  using T = Compute<Data>;
  constexpr int64_t kRows = 64;
  const double micros = double(p.rows) * p.channels * 4 * sizeof(Data) / kBytesPerMicro;
  parallel_for(context, ceil_div(p.rows, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, p.rows);
    for_panels<T>(p.channels, [&](auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> mean[NV], invstd[NV], g[NV], a[NV] = {}, b[NV] = {};
      load_columns<T, NV>(static_cast<const T*>(p.mean) + column, columns, T(0), mean);
      load_columns<T, NV>(static_cast<const T*>(p.invstd) + column, columns, T(1), invstd);
      load_columns<T, NV>(p.weight == nullptr ? nullptr : static_cast<const T*>(p.weight) + column, columns, T(1), g);
      for (int v = 0; v < NV; ++v) {
        g[v] *= invstd[v];
        if constexpr (Training) {
          a[v] = load(sum_dz + column + v * kWidth<T>) / T(p.rows) * g[v];
          b[v] = load(sum_dzx + column + v * kWidth<T>) / T(p.rows) * (invstd[v] * invstd[v]) * g[v];
        }
      }
      for (int64_t n = first; n < end; ++n) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          const int64_t at = n * p.channels + column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, columns);
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
  const int64_t padded = Panels<T>{p.channels}.padded(), count = chunks.count();
  T* sum_dz = scratch_array<T>(context, count * padded);
  T* sum_dzx = scratch_array<T>(context, count * padded);
  if (p.training || p.grad_weight != nullptr || p.grad_bias != nullptr) {
    const double micros = double(p.rows) * p.channels * 3 * sizeof(Data) / kBytesPerMicro;
    parallel_for(context, count, micros, [&](int64_t chunk) {
      chunk_sums<Data, Tanh>(p, chunks.first(chunk), chunks.first(chunk + 1), sum_dz + chunk * padded,
                             sum_dzx + chunk * padded);
    });
    for (int64_t c = 0; c < p.channels; c += kWidth<T>) {
      const int64_t lanes = smaller(kWidth<T>, p.channels - c);
      Vec<T> dz = load(sum_dz + c), dzx = load(sum_dzx + c);
      for (int64_t chunk = 1; chunk < count; ++chunk) {
        dz += load(sum_dz + chunk * padded + c);
        dzx += load(sum_dzx + chunk * padded + c);
      }
      store(sum_dz + c, dz);
      store(sum_dzx + c, dzx);
      const Vec<T> invstd = load_first(static_cast<const T*>(p.invstd) + c, lanes);
      if (p.grad_bias != nullptr) store_first(static_cast<T*>(p.grad_bias) + c, dz, lanes);
      if (p.grad_weight != nullptr) store_first(static_cast<T*>(p.grad_weight) + c, dzx * invstd, lanes);
    }
  }
  if (p.grad_input == nullptr) return;
  if (p.training) {
    input_gradient<Data, Tanh, true>(p, sum_dz, sum_dzx, context);
  } else {
    input_gradient<Data, Tanh, false>(p, sum_dz, sum_dzx, context);
  }
}

}  // namespace

template <class Data>
void batch_norm_backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  if (p.rows == 0) {
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
