// What a CPU kernel needs from its caller: scratch memory and threads. The operators give it torch's, the engine and the
// tests others, so that kernels know none of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace namegen::cpu {

// Its functions are defined in context.cpp: inline ones would be compiled for each instruction set, and the linker
// would keep one of these for every CPU.
class Context {
 public:
  using Task = void (*)(void* state, int64_t task);

  virtual ~Context();

  // Memory aligned to 64 bytes that lives until the context ends, or what was there before it is returned to. Throws
  // std::bad_alloc where there is none.
  virtual void* scratch(size_t bytes) = 0;

  // How many more bytes scratch hands out: by this kernels choose between algorithms. It depends on sizes alone.
  virtual int64_t room() const;

  // What was asked for after the mark is free again.
  struct Mark {
    size_t used = 0, blocks = 0;
    int64_t allowed = 0;
  };
  virtual Mark mark() const;
  virtual void return_to(const Mark&);

  // Runs task(state, 0) ... task(state, tasks - 1), in any order and on any number of threads, and returns when all
  // are done. `micros` is the caller's estimate of the whole work in microseconds: small work stays on one thread.
  // A kernel's results never depend on how tasks are spread: each task writes its own memory.
  virtual void parallel(int64_t tasks, double micros, Task task, void* state) = 0;

  // How many threads parallel spreads work of so many microseconds over. 1: it stays on the calling thread, and may be
  // done without a call of parallel.
  virtual int64_t threads(double micros) const = 0;
};

// How many of the threads that there are work of so many microseconds is shared by: 1 at least, and one more only for
// work that outweighs the start of another thread.
int64_t worthwhile_threads(double micros, int64_t there_are);

}  // namespace namegen::cpu
