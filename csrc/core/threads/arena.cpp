#include "threads/arena.h"

#include <memory>
#include <new>

#include "kernels/cpu/aligned_memory.h"

namespace namegen::threads {

std::byte* arena() {
  thread_local std::unique_ptr<void, cpu::FreeAligned> memory;
  if (memory == nullptr) memory.reset(cpu::allocate_aligned(kScratchAlignment, kArenaBytes));
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory.get());
}

}  // namespace namegen::threads
