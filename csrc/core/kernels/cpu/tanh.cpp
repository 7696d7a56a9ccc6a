// tanh over an array. Tests use it to check, by itself, what the activation of every operator computes.
#include "kernels/cpu/tanh.h"

#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class Data>
void tanh_array(int64_t count, const void* input, void* output) {
  constexpr int kLanes = kWidth<Compute<Data>>;
  const Data* x = static_cast<const Data*>(input);
  Data* y = static_cast<Data*>(output);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = smaller(kLanes, count - i);
    store_data(y + i, tanh(load_data(x + i, n)), n);
  }
}

template void tanh_array<float>(int64_t, const void*, void*);
template void tanh_array<double>(int64_t, const void*, void*);
template void tanh_array<BFloat16>(int64_t, const void*, void*);
template void tanh_array<Float16>(int64_t, const void*, void*);

}  // namespace namegen::cpu::NAMEGEN_ISA
