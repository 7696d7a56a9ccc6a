#include "kernels/cpu/aligned_memory.h"

#include <cstdlib>

#if defined(_WIN32)
#include <malloc.h>
#endif

namespace namegen::cpu {

#if defined(_WIN32)
void* allocate_aligned(size_t alignment, size_t bytes) noexcept { return _aligned_malloc(bytes, alignment); }
void free_aligned(void* memory) noexcept { _aligned_free(memory); }
#else
void* allocate_aligned(size_t alignment, size_t bytes) noexcept {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}
void free_aligned(void* memory) noexcept { std::free(memory); }
#endif

}  // namespace namegen::cpu
