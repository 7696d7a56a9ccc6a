// Batch norm with tanh over distinct rows, each of which counts as often as it occurs. It works on whole vectors and on
// chunks of rows, so that it can run inside the passes that make its input or read its output. With w the number of
// places that hold a row, N their sum, and D = N or, where the variance of the minibatch is unbiased, N - 1:
//
//   mean = sum w z / N,  var = sum w (z - mean)^2 / D,  invstd = 1 / sqrt(var + eps),  scale = weight * invstd,
//   y = tanh((z - mean) * scale + bias),
//
// and with dz the gradient before the tanh, already summed over the places,
//
//   grad bias = sum dz,  grad weight = invstd * sum dz (z - mean),
//   grad z = scale * (dz - w (grad bias / N + (z - mean) * invstd * grad weight / D)).
#pragma once

#include "kernels/cpu/batch_norm_chunks.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// All arrays of rows are (R, columns), all arrays by channel (columns), where columns are whole vectors.
template <class T>
struct RepeatedRowsBatchNorm {
  int64_t columns;
  const int32_t* repeats;  // (R): w
  const T* weights;        // (R): w as numbers of the compute type
  const T* z;
  T* y;
  const T* dz;
  // The parameters, and what the minibatch is normalised by.
  const T* weight;
  const T* bias;
  double eps;
  double momentum;  // of the running statistics
  int64_t places;   // N
  int64_t divisor;  // D
  T* mean;
  T* invstd;
  T* scale;
  T* running_mean;
  T* running_var;
  // Of the backward pass, by channel: grad z = dz * scale - w (shift + (z - mean) * slope).
  T* shift;
  T* slope;
  // (chunks, kChunkArrays, columns): what each chunk of rows has for itself.
  static constexpr int64_t kChunkArrays = 4;
  T* chunk_sums;
  T* chunk_array(int64_t chunk, int64_t array) const { return chunk_sums + (chunk * kChunkArrays + array) * columns; }
};

// Rows [first, end) of chunk number `number`.
struct ChunkOfRows {
  int64_t number;
  int64_t first;
  int64_t end;
};

inline double places_of(const int32_t* repeats, int64_t first, int64_t end) {
  int64_t places = 0;
  for (int64_t r = first; r < end; ++r) places += repeats[r];
  return double(places);
}

// ---- forward --------------------------------------------------------------------------------------------------------

// sums[c] = sum over rows [first, end) of w * term(z, c), where term_of(column, Constant<NV>) makes the term for NV
// vectors of columns.
template <class T, class TermOf>
inline void weighted_sums(const RepeatedRowsBatchNorm<T>& p, int64_t first, int64_t end, T* sums,
                          const TermOf& term_of) {
  for_each_panel<T>(p.columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const auto term = term_of(panel.column, nv);
    Vec<T> totals[NV] = {};
    for (int64_t r = first; r < end; ++r) {
      const Vec<T> weight = broadcast(p.weights[r]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        totals[v] += weight * term(load(p.z + r * p.columns + panel.column + v * kWidth<T>), v);
      }
    }
    store_vectors<NV>(sums + panel.column, totals);
  });
}

// The squared deviation from the mean.
template <class T, int NV>
struct SquaredDeviation {
  Vec<T> mean[NV];
  SquaredDeviation(const T* means, int64_t column) { load_vectors<NV>(means + column, mean); }
  Vec<T> operator()(Vec<T> z, int v) const { return (z - mean[v]) * (z - mean[v]); }
};

// Rows whose mean and deviations are formed by two passes over them. The second pass finds them in the cache.
inline constexpr int64_t kTwoPassRows = 128;

// The mean and the squared deviations of one chunk of z, to the chunk's first two arrays.
template <class T>
inline void chunk_statistics(const RepeatedRowsBatchNorm<T>& p, const ChunkOfRows& chunk) {
  T* const mean = p.chunk_array(chunk.number, 0);
  T* const deviations = p.chunk_array(chunk.number, 1);
  double before = 0;
  for (int64_t first = chunk.first; first < chunk.end; first += kTwoPassRows) {
    const int64_t end = smaller(first + kTwoPassRows, chunk.end);
    const bool is_first = first == chunk.first;
    const double places = places_of(p.repeats, first, end);
    T* const piece_mean = is_first ? mean : p.chunk_array(chunk.number, 2);
    T* const piece_deviations = is_first ? deviations : p.chunk_array(chunk.number, 3);
    weighted_sums(p, first, end, piece_mean, [](int64_t, auto) { return [](Vec<T> z, int) { return z; }; });
    for (int64_t c = 0; c < p.columns; c += kWidth<T>) store(piece_mean + c, load(piece_mean + c) / T(places));
    weighted_sums(p, first, end, piece_deviations, [&](int64_t column, auto nv) {
      return SquaredDeviation<T, decltype(nv)::value>(piece_mean, column);
    });
    if (!is_first) {
      merge_statistics(p.columns, T(before), mean, deviations, T(places), piece_mean, piece_deviations);
    }
    before += places;
  }
}

// Merges the statistics of the chunks, which hold chunk_places[chunk] places each, into those of the whole minibatch,
// and moves the running statistics by them.
template <class T>
inline void finish_statistics(const RepeatedRowsBatchNorm<T>& p, const double* chunk_places, int64_t chunks) {
  const T momentum = T(p.momentum), divisor = T(p.divisor);
  for (int64_t c = 0; c < p.columns; c += kWidth<T>) {
    Vec<T> mean = {}, deviations = {};
    double before = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      if (chunk_places[chunk] == 0) continue;
      const Vec<T> chunk_mean = load(p.chunk_array(chunk, 0) + c);
      const Vec<T> chunk_deviations = load(p.chunk_array(chunk, 1) + c);
      if (before == 0) {
        mean = chunk_mean;
        deviations = chunk_deviations;
      } else {
        merge_statistics(T(before), mean, deviations, T(chunk_places[chunk]), chunk_mean, chunk_deviations);
      }
      before += chunk_places[chunk];
    }
    const Vec<T> invstd = T(1) / square_roots(deviations / divisor + T(p.eps));
    store(p.mean + c, mean);
    store(p.invstd + c, invstd);
    store(p.scale + c, load(p.weight + c) * invstd);
    store(p.running_mean + c, load(p.running_mean + c) * (T(1) - momentum) + mean * momentum);
    store(p.running_var + c, load(p.running_var + c) * (T(1) - momentum) + deviations / T(p.places - 1) * momentum);
  }
}

// Takes the running statistics instead, as evaluation does.
template <class T>
inline void use_running_statistics(const RepeatedRowsBatchNorm<T>& p) {
  for (int64_t c = 0; c < p.columns; c += kWidth<T>) {
    const Vec<T> variance = load(p.running_var + c) + T(p.eps);
    store(p.mean + c, load(p.running_mean + c));
    store(p.scale + c, load(p.weight + c) / square_roots(variance));
  }
}

// Rows [first, end) of y from those of z.
template <class T>
inline void normalise_rows(const RepeatedRowsBatchNorm<T>& p, int64_t first, int64_t end) {
  for_each_panel<T>(p.columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> mean[NV], scale[NV], bias[NV];
    load_vectors<NV>(p.mean + panel.column, mean);
    load_vectors<NV>(p.scale + panel.column, scale);
    load_vectors<NV>(p.bias + panel.column, bias);
    for (int64_t r = first; r < end; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const int64_t at = r * p.columns + panel.column + v * kWidth<T>;
        store(p.y + at, tanh((load(p.z + at) - mean[v]) * scale[v] + bias[v]));
      }
    }
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------

// The sums over one chunk of dz and of dz * (z - mean), to the chunk's first two arrays.
template <class T>
inline void chunk_gradient_sums(const RepeatedRowsBatchNorm<T>& p, const ChunkOfRows& chunk) {
  T* const dz_sums = p.chunk_array(chunk.number, 0);
  T* const dzx_sums = p.chunk_array(chunk.number, 1);
  for_each_panel<T>(p.columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> mean[NV], dz_total[NV] = {}, dzx_total[NV] = {};
    load_vectors<NV>(p.mean + panel.column, mean);
    for (int64_t r = chunk.first; r < chunk.end; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const int64_t at = r * p.columns + panel.column + v * kWidth<T>;
        const Vec<T> dz = load(p.dz + at);
        dz_total[v] += dz;
        dzx_total[v] += dz * (load(p.z + at) - mean[v]);
      }
    }
    store_vectors<NV>(dz_sums + panel.column, dz_total);
    store_vectors<NV>(dzx_sums + panel.column, dzx_total);
  });
}

// Merges the sums of the chunks: the gradients of weight and bias, and shift and slope.
template <class T>
inline void finish_gradient_sums(const RepeatedRowsBatchNorm<T>& p, int64_t chunks, T* weight_gradient,
                                 T* bias_gradient) {
  const T divisor = T(p.divisor);
  for (int64_t c = 0; c < p.columns; c += kWidth<T>) {
    Vec<T> dz = {}, dzx = {};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      dz += load(p.chunk_array(chunk, 0) + c);
      dzx += load(p.chunk_array(chunk, 1) + c);
    }
    const Vec<T> invstd = load(p.invstd + c), scale = load(p.scale + c);
    store(bias_gradient + c, dz);
    store(weight_gradient + c, dzx * invstd);
    store(p.shift + c, dz / T(p.places) * scale);
    store(p.slope + c, dzx / divisor * (invstd * invstd) * scale);
  }
}

// finish(row, column, Constant<NV>, values): the gradient of rows [first, end) of z.
template <class T, class Finish>
inline void input_gradient_rows(const RepeatedRowsBatchNorm<T>& p, int64_t first, int64_t end, const Finish& finish) {
  for_each_panel<T>(p.columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> mean[NV], scale[NV], shift[NV], slope[NV];
    load_vectors<NV>(p.mean + panel.column, mean);
    load_vectors<NV>(p.scale + panel.column, scale);
    load_vectors<NV>(p.shift + panel.column, shift);
    load_vectors<NV>(p.slope + panel.column, slope);
    for (int64_t r = first; r < end; ++r) {
      const Vec<T> weight = broadcast(p.weights[r]);
      Vec<T> gradient[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const int64_t at = r * p.columns + panel.column + v * kWidth<T>;
        const Vec<T> away = shift[v] + (load(p.z + at) - mean[v]) * slope[v];
        gradient[v] = load(p.dz + at) * scale[v] - weight * away;
      }
      finish(r, panel.column, nv, gradient);
    }
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
