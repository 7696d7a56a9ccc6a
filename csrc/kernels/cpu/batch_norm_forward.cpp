// y = activation((x - mean) * invstd * weight + bias), by channel, x (N, C).
//
// Training: the mean of a piece of rows, then the sum of squared deviations from it, both exact to rounding; pieces and
// chunks merge by Chan, Golub and LeVeque (1979): M = M_a + M_b + delta^2 n_a n_b / n.
#include "kernels/cpu/batch_norm.h"
#include "kernels/cpu/functions.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// Merges the statistics of `n_b` rows (mean b, squared deviations m_b) into those of `n_a` rows.
template <class T>
inline void merge(T n_a, Vec<T>& mean_a, Vec<T>& m_a, T n_b, Vec<T> mean_b, Vec<T> m_b) {
  const Vec<T> delta = mean_b - mean_a;
  const T share = n_b / (n_a + n_b);
  mean_a += delta * share;
  m_a += m_b + delta * delta * (n_a * share);
}

// The mean and the squared deviations of `rows` rows for NV vectors of columns.
template <class Data, int NV>
inline void piece_statistics(const Data* x, int64_t rows, int64_t channels, int64_t columns,
                             Vec<Compute<Data>>* mean, Vec<Compute<Data>>* deviations) {
  using T = Compute<Data>;
  const auto at = [&](int64_t n, int v) {
    return load_data(x + n * channels + v * kWidth<T>, lanes_of<T, NV>(v, columns));
  };
  // Even and odd rows apart: two chains of additions that need not wait for each other.
  Vec<T> even[NV] = {}, odd[NV] = {};
  for (int64_t n = 0; n + 1 < rows; n += 2) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) even[v] += at(n, v), odd[v] += at(n + 1, v);
  }
  for (int v = 0; v < NV; ++v) {
    if (rows % 2 == 1) even[v] += at(rows - 1, v);
    mean[v] = (even[v] + odd[v]) / T(rows);
    even[v] = odd[v] = Vec<T>{};
  }
  for (int64_t n = 0; n + 1 < rows; n += 2) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const Vec<T> a = at(n, v) - mean[v], b = at(n + 1, v) - mean[v];
      even[v] += a * a;
      odd[v] += b * b;
    }
  }
  for (int v = 0; v < NV; ++v) {
    deviations[v] = even[v] + odd[v];
    if (rows % 2 == 0) continue;
    const Vec<T> a = at(rows - 1, v) - mean[v];
    deviations[v] += a * a;
  }
}

// mean and deviations (each C, padded) of rows [first, end).
template <class Data>
void chunk_statistics(const BatchNormForward& p, int64_t first, int64_t end, Compute<Data>* mean,
                      Compute<Data>* deviations) {
  using T = Compute<Data>;
  for (int64_t n = first; n < end; n += kPieceRows) {
    const int64_t rows = smaller(kPieceRows, end - n);
    for_panels<T>(p.channels, [&](auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> piece_mean[NV], piece_deviations[NV];
      piece_statistics<Data, NV>(static_cast<const Data*>(p.input) + n * p.channels + column, rows, p.channels,
                                 columns, piece_mean, piece_deviations);
      for (int v = 0; v < NV; ++v) {
        T* mean_at = mean + column + v * kWidth<T>;
        T* deviations_at = deviations + column + v * kWidth<T>;
        if (n > first) {
          Vec<T> total_mean = load(mean_at), total_deviations = load(deviations_at);
          merge(T(n - first), total_mean, total_deviations, T(rows), piece_mean[v], piece_deviations[v]);
          piece_mean[v] = total_mean;
          piece_deviations[v] = total_deviations;
        }
        store(mean_at, piece_mean[v]);
        store(deviations_at, piece_deviations[v]);
      }
    });
  }
}

// Writes the batch's mean and invstd, and moves the running statistics.
template <class Data>
void batch_statistics(const BatchNormForward& p, Context& context) {
  using T = Compute<Data>;
  const Chunks chunks{p.rows};
  const int64_t padded = Panels<T>{p.channels}.padded(), count = chunks.count();
  T* mean = scratch_array<T>(context, count * padded);
  T* deviations = scratch_array<T>(context, count * padded);
  const double micros = double(p.rows) * p.channels * (sizeof(Data) + 4) / kBytesPerMicro;
  parallel_for(context, count, micros, [&](int64_t chunk) {
    chunk_statistics<Data>(p, chunks.first(chunk), chunks.first(chunk + 1), mean + chunk * padded,
                           deviations + chunk * padded);
  });

  T* running_mean = static_cast<T*>(p.running_mean);
  T* running_var = static_cast<T*>(p.running_var);
  const T momentum = static_cast<T>(p.momentum);
  for (int64_t c = 0; c < p.channels; c += kWidth<T>) {
    const int64_t lanes = smaller(kWidth<T>, p.channels - c);
    Vec<T> m = load(mean + c), d = load(deviations + c);
    for (int64_t chunk = 1; chunk < count; ++chunk) {
      const int64_t before = chunks.first(chunk), rows = chunks.first(chunk + 1) - before;
      merge(T(before), m, d, T(rows), load(mean + chunk * padded + c), load(deviations + chunk * padded + c));
    }
    const Vec<T> variance = d / T(p.rows);
    Vec<T> invstd;
    for (int i = 0; i < kWidth<T>; ++i) invstd[i] = T(1) / square_root(variance[i] + T(p.eps));
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
}

template <class Data, bool Tanh>
void normalise(const BatchNormForward& p, Context& context) {
  using T = Compute<Data>;
  constexpr int64_t kRows = 64;
  const double micros = double(p.rows) * p.channels * (2 * sizeof(Data) + (Tanh ? 8 : 0)) / kBytesPerMicro;
  parallel_for(context, ceil_div(p.rows, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, p.rows);
    for_panels<T>(p.channels, [&](auto nv, int64_t column, int64_t columns) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> mean[NV], scale[NV], invstd[NV], bias[NV];
      load_columns<T, NV>(static_cast<const T*>(p.mean) + column, columns, T(0), mean);
      load_columns<T, NV>(static_cast<const T*>(p.invstd) + column, columns, T(1), invstd);
      load_columns<T, NV>(p.weight == nullptr ? nullptr : static_cast<const T*>(p.weight) + column, columns, T(1), scale);
      load_columns<T, NV>(p.bias == nullptr ? nullptr : static_cast<const T*>(p.bias) + column, columns, T(0), bias);
      for (int v = 0; v < NV; ++v) scale[v] *= invstd[v];
      for (int64_t n = first; n < end; ++n) {
        const int64_t at = n * p.channels + column;
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
