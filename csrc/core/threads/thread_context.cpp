#include "threads/thread_context.h"

#include <new>

#include "kernels/cpu/large_pages.h"
#include "threads/arena.h"
#include "threads/thread_pool.h"

namespace namegen::threads {

int64_t num_threads(const TorchThreads* torch) {
  uint32_t number = 0;
  if (torch == nullptr) return own_num_threads();
  if (torch->get_num_threads(&number) != 0) throw std::runtime_error("torch_get_num_threads failed");
  return number;
}

void run_tasks(const TorchThreads* torch, int64_t tasks, int64_t threads, cpu::Context::Task task, void* state) {
  if (torch == nullptr) {
    ThreadPool::shared().run(tasks, threads, task, state);
    return;
  }
  const int64_t grain = (tasks + threads - 1) / threads;
  parallel_ranges(*torch, 0, tasks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) task(state, i);
  });
}

ThreadContext::ThreadContext() : torch_(torch_threads()), num_threads_(num_threads(torch_)) {}

ThreadContext::~ThreadContext() = default;

void* ThreadContext::scratch(size_t bytes) {
  const size_t rounded = rounded_to_alignment(bytes);
  if (rounded < bytes) throw std::bad_alloc();  // it passed the largest number
  if (rounded <= kArenaBytes - used_) {
    void* result = arena() + used_;
    used_ += rounded;
    return result;
  }
  blocks_.emplace_back(cpu::allocate_aligned(kScratchAlignment, rounded));
  if (blocks_.back() == nullptr) throw std::bad_alloc();
  cpu::ask_for_large_pages(blocks_.back().get(), rounded);
  return blocks_.back().get();
}

cpu::Context::Mark ThreadContext::mark() const { return {used_, blocks_.size(), 0}; }

void ThreadContext::return_to(const Mark& mark) {
  used_ = mark.used;
  blocks_.resize(mark.blocks);
}

void ThreadContext::parallel(int64_t tasks, double micros, Task task, void* state) {
  run_tasks(torch_, tasks, threads(micros), task, state);
}

int64_t ThreadContext::threads(double micros) const { return cpu::worthwhile_threads(micros, num_threads_); }

}  // namespace namegen::threads
