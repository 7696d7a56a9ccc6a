// Adds up arrays of which several threads have each made one.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Adds `arrays` arrays of `count` values, which lie `stride` apart, to `sum`. The arrays are read one after the other.
// If they were read side by side, the prefetcher would follow the constant stride beyond the last array, into memory
// that another core writes next, and take that memory from the core's cache. Measured: 9.1 us side by side, 4.9 us one
// after the other (the sums of an MLP's step at batch 1,024; two CPUs without a shared cache).
template <class T>
inline void add_arrays(T* sum, const T* first, int64_t arrays, int64_t stride, int64_t count) {
  for (int64_t a = 0; a < arrays; ++a) {
    const T* array = first + a * stride;
    for (int64_t i = 0; i < count; i += kWidth<T>) store(sum + i, load(sum + i) + load(array + i));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
