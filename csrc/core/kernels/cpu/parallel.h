// Context::parallel for a lambda, scratch memory for arrays, and the speeds by which kernels estimate their work.
#pragma once

#include "kernels/cpu/context.h"
#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// What a core does in a microsecond. The guesses are low. They decide whether threads are worth starting.
inline constexpr double kFlopsPerMicro = 4e4;
inline constexpr double kBytesPerMicro = 1e4;

template <class Body>
inline void parallel_for(Context& context, int64_t tasks, double micros, const Body& body) {
  if (tasks <= 0) return;
  if (tasks == 1 || context.threads(micros) <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  context.parallel(
      tasks, micros, [](void* state, int64_t task) { (*static_cast<const Body*>(state))(task); },
      const_cast<Body*>(&body));
}

template <class T>
inline T* scratch_array(Context& context, int64_t count) {
  return static_cast<T*>(context.scratch(static_cast<size_t>(larger(count, 1)) * sizeof(T)));
}

template <class T>
inline void fill_zero(T* p, int64_t count) {
  __builtin_memset(p, 0, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace namegen::cpu::NAMEGEN_ISA
