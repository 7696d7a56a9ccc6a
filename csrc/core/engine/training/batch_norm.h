// Batch norm of a level's distinct rows, each of which counts as often as it occurs: on whole vectors, and on chunks of
// rows, so that it runs inside the passes that make its input or read its output. With w the number of places that hold
// a row, N their sum, D = N or, where the variance of the minibatch is unbiased, N - 1:
//
//   mean = sum w z / N,  var = sum w (z - mean)^2 / D,  invstd = 1 / sqrt(var + eps),  scale = weight * invstd,
//   y = tanh((z - mean) * scale + bias),
//
// and with dz the gradient before the tanh, already summed over the places,
//
//   grad bias = sum dz,  grad weight = invstd * sum dz (z - mean),
//   grad z = scale * (dz - w (grad bias / N + (z - mean) * invstd * grad weight / D)).
#pragma once

#include "engine/training/step_state.h"
#include "kernels/cpu/batch_norm.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Rows whose mean and deviations are formed by two passes: the second finds them in the cache.
inline constexpr int64_t kPieceRows = 128;

// Arrays of one value a channel that a chunk has for itself.
inline constexpr int64_t kChunkArrays = 4;
template <class T>
inline T* chunk_array(const StepState<T>& s, int64_t l, int64_t chunk, int64_t array) {
  return s.levels[l].chunk_sums + (chunk * kChunkArrays + array) * s.stride(l);
}

inline double places_of(const int32_t* repeats, int64_t first, int64_t end) {
  int64_t places = 0;
  for (int64_t r = first; r < end; ++r) places += repeats[r];
  return double(places);
}

// sums[c] = sum over rows [first, end) of w * term(z, c).
template <class T, class Term>
inline void weighted_sums(const T* z, const T* weights, int64_t stride, int64_t first, int64_t end, T* sums,
                          const Term& term) {
  const Panels<T> panels{stride};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panels.first(panel);
      const auto of = term(column, nv);
      Vec<T> totals[NV] = {};
      for (int64_t r = first; r < end; ++r) {
        const Vec<T> weight = broadcast(weights[r]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) totals[v] += weight * of(load(z + r * stride + column + v * kWidth<T>), v);
      }
      for (int v = 0; v < NV; ++v) store(sums + column + v * kWidth<T>, totals[v]);
    });
  }
}

// Squared deviations from the mean.
template <class T, int NV>
struct Deviation {
  Vec<T> mean[NV];
  Deviation(const T* means, int64_t column) {
    for (int v = 0; v < NV; ++v) mean[v] = load(means + column + v * kWidth<T>);
  }
  Vec<T> operator()(Vec<T> z, int v) const { return (z - mean[v]) * (z - mean[v]); }
};

template <class T>
struct ChannelArrays {
  T* mean;
  T* deviations;
};

// Room for the sums of the chunks, forward and backward.
template <class T>
inline void begin_batch_norm(StepState<T>& s, int64_t l) {
  LevelState<T>& state = s.levels[l];
  const int64_t rows = s.rows(l);
  state.weights = scratch_array<T>(s.context, rows);
  for (int64_t r = 0; r < rows; ++r) state.weights[r] = T(s.now->rows[l].repeats[r]);
  state.chunk_sums = scratch_array<T>(s.context, s.chunks() * kChunkArrays * s.stride(l));
}

// The mean and the squared deviations of a chunk of z.
template <class T>
inline void chunk_statistics(const StepState<T>& s, int64_t l, const RowRange& range) {
  const LevelState<T>& state = s.levels[l];
  const int64_t stride = s.stride(l);
  const T* z = state.z.data();
  const ChannelArrays<T> whole{chunk_array(s, l, range.chunk, 0), chunk_array(s, l, range.chunk, 1)};
  const ChannelArrays<T> spare{chunk_array(s, l, range.chunk, 2), chunk_array(s, l, range.chunk, 3)};
  double before = 0;
  for (int64_t first = range.first; first < range.end; first += kPieceRows) {
    const int64_t end = smaller(first + kPieceRows, range.end);
    const double places = places_of(s.now->rows[l].repeats, first, end);
    const ChannelArrays<T> piece = first == range.first ? whole : spare;
    weighted_sums(z, state.weights, stride, first, end, piece.mean,
                  [](int64_t, auto) { return [](Vec<T> value, int) { return value; }; });
    for (int64_t c = 0; c < stride; c += kWidth<T>) store(piece.mean + c, load(piece.mean + c) / T(places));
    weighted_sums(z, state.weights, stride, first, end, piece.deviations,
                  [&](int64_t column, auto nv) { return Deviation<T, decltype(nv)::value>(piece.mean, column); });
    for (int64_t c = 0; first > range.first && c < stride; c += kWidth<T>) {
      Vec<T> mean = load(whole.mean + c), deviations = load(whole.deviations + c);
      merge_statistics(T(before), mean, deviations, T(places), load(piece.mean + c), load(piece.deviations + c));
      store(whole.mean + c, mean);
      store(whole.deviations + c, deviations);
    }
    before += places;
  }
}

// Those of the whole minibatch, from all chunks, by which the running ones are moved.
template <class T>
inline void finish_statistics(StepState<T>& s, int64_t l) {
  const int64_t places = s.places(l);
  LevelState<T>& state = s.levels[l];
  const engine::Level& level = s.network.levels[l];
  const T momentum = T(level.momentum), divisor = T(s.variance_divisor(l, places));
  const T* weight = s.value(s.layout.levels[l].norm_weight);
  double chunk_places[ExampleChunks::kMost];
  for (int64_t chunk = 0; chunk < s.chunks(); ++chunk) {
    const RowRange range = s.range(s.rows(l), chunk);
    chunk_places[chunk] = places_of(s.now->rows[l].repeats, range.first, range.end);
  }
  for (int64_t c = 0; c < s.stride(l); c += kWidth<T>) {
    Vec<T> mean = {}, deviations = {};
    double before = 0;
    for (int64_t chunk = 0; chunk < s.chunks(); ++chunk) {
      if (chunk_places[chunk] == 0) continue;
      const Vec<T> chunk_mean = load(chunk_array(s, l, chunk, 0) + c);
      const Vec<T> chunk_deviations = load(chunk_array(s, l, chunk, 1) + c);
      if (before == 0) {
        mean = chunk_mean;
        deviations = chunk_deviations;
      } else {
        merge_statistics(T(before), mean, deviations, T(chunk_places[chunk]), chunk_mean, chunk_deviations);
      }
      before += chunk_places[chunk];
    }
    const Vec<T> invstd = T(1) / square_roots(deviations / divisor + T(level.eps));
    store(state.mean.data() + c, mean);
    store(state.invstd.data() + c, invstd);
    store(state.scale.data() + c, load(weight + c) * invstd);
    T* running_mean = state.running_mean.data() + c;
    T* running_var = state.running_var.data() + c;
    store(running_mean, load(running_mean) * (T(1) - momentum) + mean * momentum);
    store(running_var, load(running_var) * (T(1) - momentum) + deviations / T(places - 1) * momentum);
  }
}

// The running statistics instead, in evaluation mode.
template <class T>
inline void use_running_statistics(StepState<T>& s, int64_t l) {
  LevelState<T>& state = s.levels[l];
  const T* weight = s.value(s.layout.levels[l].norm_weight);
  for (int64_t c = 0; c < s.stride(l); c += kWidth<T>) {
    const Vec<T> variance = load(state.running_var.data() + c) + T(s.network.levels[l].eps);
    store(state.mean.data() + c, load(state.running_mean.data() + c));
    store(state.scale.data() + c, load(weight + c) / square_roots(variance));
  }
}

// y from z.
template <class T>
inline void normalise_rows(const StepState<T>& s, int64_t l, const RowRange& range) {
  const LevelState<T>& state = s.levels[l];
  const int64_t stride = s.stride(l);
  const T* bias_at = s.value(s.layout.levels[l].norm_bias);
  const Panels<T> panels{stride};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panels.first(panel);
      Vec<T> mean[NV], scale[NV], bias[NV];
      for (int v = 0; v < NV; ++v) {
        mean[v] = load(state.mean.data() + column + v * kWidth<T>);
        scale[v] = load(state.scale.data() + column + v * kWidth<T>);
        bias[v] = load(bias_at + column + v * kWidth<T>);
      }
      for (int64_t r = range.first; r < range.end; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const int64_t at = r * stride + column + v * kWidth<T>;
          store(state.y.data() + at, tanh((load(state.z.data() + at) - mean[v]) * scale[v] + bias[v]));
        }
      }
    });
  }
}

// The sums over a chunk that the gradients are made of.
template <class T>
inline void chunk_gradient_sums(const StepState<T>& s, int64_t l, const RowRange& range) {
  const LevelState<T>& state = s.levels[l];
  const int64_t stride = s.stride(l);
  T* dz_sums = chunk_array(s, l, range.chunk, 0);
  T* dzx_sums = chunk_array(s, l, range.chunk, 1);
  const Panels<T> panels{stride};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panels.first(panel);
      Vec<T> mean[NV], dz_total[NV] = {}, dzx_total[NV] = {};
      for (int v = 0; v < NV; ++v) mean[v] = load(state.mean.data() + column + v * kWidth<T>);
      for (int64_t r = range.first; r < range.end; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const int64_t at = r * stride + column + v * kWidth<T>;
          const Vec<T> dz = load(state.dz.data() + at);
          dz_total[v] += dz;
          dzx_total[v] += dz * (load(state.z.data() + at) - mean[v]);
        }
      }
      for (int v = 0; v < NV; ++v) {
        store(dz_sums + column + v * kWidth<T>, dz_total[v]);
        store(dzx_sums + column + v * kWidth<T>, dzx_total[v]);
      }
    });
  }
}

// The gradients of weight and bias, from all chunks.
template <class T>
inline void finish_gradient_sums(StepState<T>& s, int64_t l) {
  const int64_t places = s.places(l);
  LevelState<T>& state = s.levels[l];
  const T divisor = T(s.variance_divisor(l, places));
  T* weight_gradient = s.gradient(s.layout.levels[l].norm_weight);
  T* bias_gradient = s.gradient(s.layout.levels[l].norm_bias);
  state.shift = scratch_array<T>(s.context, s.stride(l));
  state.slope = scratch_array<T>(s.context, s.stride(l));
  for (int64_t c = 0; c < s.stride(l); c += kWidth<T>) {
    Vec<T> dz = {}, dzx = {};
    for (int64_t chunk = 0; chunk < s.chunks(); ++chunk) {
      dz += load(chunk_array(s, l, chunk, 0) + c);
      dzx += load(chunk_array(s, l, chunk, 1) + c);
    }
    const Vec<T> invstd = load(state.invstd.data() + c), scale = load(state.scale.data() + c);
    store(bias_gradient + c, dz);
    store(weight_gradient + c, dzx * invstd);
    store(state.shift + c, dz / T(places) * scale);
    store(state.slope + c, dzx / divisor * (invstd * invstd) * scale);
  }
}

// finish(row, column, Constant<NV>, values): the gradient of z.
template <class T, class Finish>
inline void input_gradient_rows(const StepState<T>& s, int64_t l, const RowRange& range, const Finish& finish) {
  const LevelState<T>& state = s.levels[l];
  const int64_t stride = s.stride(l);
  const Panels<T> panels{stride};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panels.first(panel);
      Vec<T> mean[NV], scale[NV], shift[NV], slope[NV];
      for (int v = 0; v < NV; ++v) {
        mean[v] = load(state.mean.data() + column + v * kWidth<T>);
        scale[v] = load(state.scale.data() + column + v * kWidth<T>);
        shift[v] = load(state.shift + column + v * kWidth<T>);
        slope[v] = load(state.slope + column + v * kWidth<T>);
      }
      for (int64_t r = range.first; r < range.end; ++r) {
        const Vec<T> weight = broadcast(state.weights[r]);
        Vec<T> gradient[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const int64_t at = r * stride + column + v * kWidth<T>;
          const Vec<T> away = shift[v] + (load(state.z.data() + at) - mean[v]) * slope[v];
          gradient[v] = load(state.dz.data() + at) * scale[v] - weight * away;
        }
        finish(r, column, nv, gradient);
      }
    });
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
