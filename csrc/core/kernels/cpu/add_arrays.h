// The sum of what several threads have each made a share of.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Adds `arrays` arrays of `count` values, `stride` apart, to `sum`: one after the other. Were they read side by side,
// the prefetcher would follow the constant stride on beyond the last one, to memory that another core writes next, and
// take it from its cache (two CPUs without a shared one, the sums of an MLP's step at batch 1,024: 9.1 to 4.9 us).
template <class T>
inline void add_arrays(T* sum, const T* first, int64_t arrays, int64_t stride, int64_t count) {
  for (int64_t a = 0; a < arrays; ++a) {
    const T* array = first + a * stride;
    for (int64_t i = 0; i < count; i += kWidth<T>) store(sum + i, load(sum + i) + load(array + i));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
