// Batch norm inside the passes of a step: where its arrays lie. The arithmetic is
// kernels/cpu/repeated_rows_batch_norm.h.
#pragma once

#include "engine/training/cpu/step_state.h"
#include "kernels/cpu/repeated_rows_batch_norm.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class T>
inline RepeatedRowsBatchNorm<T> batch_norm_of(const StepState<T>& s, int64_t l) {
  const LevelState<T>& state = s.levels[l];
  RepeatedRowsBatchNorm<T> p;
  p.columns = s.stride(l);
  p.repeats = s.now->rows[l].repeats;
  p.weights = state.weights;
  p.z = state.z.data();
  p.y = state.y.data();
  p.dz = state.dz.data();
  p.weight = s.value(s.layout.levels[l].norm_weight);
  p.bias = s.value(s.layout.levels[l].norm_bias);
  p.eps = s.network.levels[l].eps;
  p.momentum = s.network.levels[l].momentum;
  p.places = s.places(l);
  p.divisor = s.network.levels[l].unbiased ? p.places - 1 : p.places;
  p.mean = state.mean.data();
  p.invstd = state.invstd.data();
  p.scale = state.scale.data();
  p.running_mean = state.running_mean.data();
  p.running_var = state.running_var.data();
  p.shift = state.shift;
  p.slope = state.slope;
  p.chunk_sums = state.chunk_sums;
  return p;
}

inline ChunkOfRows chunk_of(const RowRange& range) { return {range.chunk, range.first, range.end}; }

// Makes room for the sums of the chunks, forward and backward.
template <class T>
inline void begin_batch_norm(StepState<T>& s, int64_t l) {
  LevelState<T>& state = s.levels[l];
  const int64_t rows = s.rows(l);
  state.weights = scratch_array<T>(s.context, rows);
  for (int64_t r = 0; r < rows; ++r) state.weights[r] = T(s.now->rows[l].repeats[r]);
  state.chunk_sums = scratch_array<T>(s.context, s.chunks() * RepeatedRowsBatchNorm<T>::kChunkArrays * s.stride(l));
}

template <class T>
inline void chunk_statistics(const StepState<T>& s, int64_t l, const RowRange& range) {
  chunk_statistics(batch_norm_of(s, l), chunk_of(range));
}

template <class T>
inline void finish_statistics(StepState<T>& s, int64_t l) {
  double chunk_places[ExampleChunks::kMost];
  for (int64_t chunk = 0; chunk < s.chunks(); ++chunk) {
    const RowRange range = s.range(s.rows(l), chunk);
    chunk_places[chunk] = places_of(s.now->rows[l].repeats, range.first, range.end);
  }
  finish_statistics(batch_norm_of(s, l), chunk_places, s.chunks());
}

template <class T>
inline void use_running_statistics(StepState<T>& s, int64_t l) {
  use_running_statistics(batch_norm_of(s, l));
}

template <class T>
inline void normalise_rows(const StepState<T>& s, int64_t l, const RowRange& range) {
  normalise_rows(batch_norm_of(s, l), range.first, range.end);
}

template <class T>
inline void chunk_gradient_sums(const StepState<T>& s, int64_t l, const RowRange& range) {
  chunk_gradient_sums(batch_norm_of(s, l), chunk_of(range));
}

template <class T>
inline void finish_gradient_sums(StepState<T>& s, int64_t l) {
  s.levels[l].shift = scratch_array<T>(s.context, s.stride(l));
  s.levels[l].slope = scratch_array<T>(s.context, s.stride(l));
  finish_gradient_sums(batch_norm_of(s, l), s.chunks(), s.gradient(s.layout.levels[l].norm_weight),
                       s.gradient(s.layout.levels[l].norm_bias));
}

// Calls finish(row, column, Constant<NV>, values) with the gradient of z.
template <class T, class Finish>
inline void input_gradient_rows(const StepState<T>& s, int64_t l, const RowRange& range, const Finish& finish) {
  input_gradient_rows(batch_norm_of(s, l), range.first, range.end, finish);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
