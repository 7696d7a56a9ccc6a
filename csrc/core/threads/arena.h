// Scratch memory that each thread keeps from call to call: an allocation costs more than a small kernel.
#pragma once

#include <cstddef>

namespace namegen::threads {

inline constexpr size_t kScratchAlignment = 64;
// Enough for the published sizes at batch 32.
inline constexpr size_t kArenaBytes = 1024 * 1024;

inline size_t rounded_to_alignment(size_t bytes) {
  return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

// The calling thread's kArenaBytes, which it keeps until it ends. Throws std::bad_alloc where there is no memory.
std::byte* arena();

}  // namespace namegen::threads
