// GELU and its derivative over arrays: what the engine computes in its passes, by itself, for tests.
#include "kernels/cpu/gelu.h"

#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class T>
void gelu_array(int64_t count, const void* input, void* values, void* slopes) {
  const T* x = static_cast<const T*>(input);
  T* y = static_cast<T*>(values);
  T* slope = static_cast<T*>(slopes);
  for (int64_t i = 0; i < count; i += kWidth<T>) {
    const int64_t n = smaller(kWidth<T>, count - i);
    const ValueAndSlope<T> result = gelu_with_slope<T>(load_first(x + i, n));
    store_first(y + i, result.value, n);
    store_first(slope + i, result.slope, n);
  }
}

template void gelu_array<float>(int64_t, const void*, void*, void*);
template void gelu_array<double>(int64_t, const void*, void*, void*);

}  // namespace namegen::cpu::NAMEGEN_ISA
