// Memory at an alignment of one's own choice. std::aligned_alloc is not used: Windows has none, and it wants sizes that
// are multiples of the alignment.
#pragma once

#include <cstddef>

namespace namegen::cpu {

// Uninitialised memory at a multiple of `alignment`, a power of two from 8 on. Null where there is no memory. These are
// no inline functions, as a copy of one could be compiled for an instruction set that the CPU lacks.
void* allocate_aligned(size_t alignment, size_t bytes) noexcept;
// Takes back what allocate_aligned gave. Null is allowed.
void free_aligned(void* memory) noexcept;

// For std::unique_ptr.
struct FreeAligned {
  void operator()(void* memory) const noexcept { free_aligned(memory); }
};

}  // namespace namegen::cpu
