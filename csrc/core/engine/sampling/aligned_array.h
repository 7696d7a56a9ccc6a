// An array that starts on a cache line. Its memory is not initialised, so what is never written costs nothing. A large
// array asks for large pages: rows that lie all over it are then found without a walk through the page table for each.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "kernels/cpu/aligned_memory.h"
#include "kernels/cpu/large_pages.h"

namespace namegen::sampling {

template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(int64_t count) : size_(count) {
    const size_t wanted = static_cast<size_t>(count) * sizeof(T);
    const size_t alignment = wanted >= 4 * cpu::kLargePage ? cpu::kLargePage : 64;
    const size_t bytes = (wanted + alignment - 1) / alignment * alignment;
    memory_.reset(static_cast<T*>(cpu::allocate_aligned(alignment, bytes > 0 ? bytes : alignment)));
    if (memory_ == nullptr) throw std::bad_alloc();
    cpu::ask_for_large_pages(memory_.get(), bytes);
  }

  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return memory_.get()[i]; }
  const T& operator[](int64_t i) const { return memory_.get()[i]; }

 private:
  std::unique_ptr<T, cpu::FreeAligned> memory_;
  int64_t size_ = 0;
};

}  // namespace namegen::sampling
