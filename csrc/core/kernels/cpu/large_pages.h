// Large pages for large arrays. Memory that is written for the first time then costs one page fault per 2 MiB, not 512.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstddef>
#include <cstdint>

namespace namegen::cpu {

inline constexpr size_t kLargePage = size_t{2} << 20;

// Asks for large pages within the array, where it is large enough to gain by them. The kernel may refuse: nothing
// depends on it.
inline void ask_for_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] size_t bytes) {
#if defined(__linux__)
  if (bytes < 4 * kLargePage) return;
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (begin + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t end = (begin + bytes) / kLargePage * kLargePage;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

}  // namespace namegen::cpu
