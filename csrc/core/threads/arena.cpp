#include "threads/arena.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace namegen::threads {

std::byte* arena() {
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<void, Free> memory;
  if (memory == nullptr) memory.reset(std::aligned_alloc(kScratchAlignment, kArenaBytes));
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory.get());
}

}  // namespace namegen::threads
