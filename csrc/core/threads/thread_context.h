// What kernels and engine get from the core by itself: scratch memory, and torch's threads or its own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/aligned_memory.h"
#include "kernels/cpu/context.h"
#include "threads/torch_threads.h"

namespace namegen::threads {

// How many threads work is shared by: torch.get_num_threads() where torch is loaded, else own_num_threads().
int64_t num_threads(const TorchThreads* torch);

// Context::parallel on torch's threads where there are such, else on the pool's: tasks on up to `threads` threads.
void run_tasks(const TorchThreads* torch, int64_t tasks, int64_t threads, cpu::Context::Task task, void* state);

// Serves one call of a kernel or of the engine, on the thread that made it.
class ThreadContext final : public cpu::Context {
 public:
  ThreadContext();
  ~ThreadContext() override;
  ThreadContext(const ThreadContext&) = delete;
  ThreadContext& operator=(const ThreadContext&) = delete;

  void* scratch(size_t bytes) override;
  Mark mark() const override;
  void return_to(const Mark& mark) override;
  void parallel(int64_t tasks, double micros, Task task, void* state) override;
  int64_t threads(double micros) const override;

 private:
  const TorchThreads* torch_;
  int64_t num_threads_;
  size_t used_ = 0;                                              // of the thread's arena
  std::vector<std::unique_ptr<void, cpu::FreeAligned>> blocks_;  // what did not fit into it
};

}  // namespace namegen::threads
