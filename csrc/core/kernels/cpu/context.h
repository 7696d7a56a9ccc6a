// What a CPU kernel needs from its caller: scratch memory and threads. The operators give it torch's, the engines and
// the tests give it others, so kernels know none of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace namegen::cpu {

// Its functions are defined in context.cpp. If they were inline, each instruction set would compile a copy, and the
// linker would keep one of these for every CPU.
class Context {
 public:
  using Task = void (*)(void* state, int64_t task);

  virtual ~Context();

  // Returns memory that is aligned to 64 bytes. It lives until the context ends, or until the context returns to an
  // earlier mark. Throws std::bad_alloc where there is no memory.
  virtual void* scratch(size_t bytes) = 0;

  // How many more bytes `scratch` will hand out. Kernels choose between algorithms by this number, so it must depend on
  // sizes alone.
  virtual int64_t room() const;

  // return_to(mark()) frees what was asked for since that mark.
  struct Mark {
    size_t used = 0, blocks = 0;
    int64_t allowed = 0;
  };
  virtual Mark mark() const;
  virtual void return_to(const Mark&);

  // Runs task(state, 0) ... task(state, tasks - 1), in any order and on any number of threads, and returns when all are
  // done. `micros` is the caller's estimate of the whole work in microseconds: small work stays on one thread. A
  // kernel's results never depend on how tasks are spread, since each task writes memory of its own.
  virtual void parallel(int64_t tasks, double micros, Task task, void* state) = 0;

  // The number of threads that `parallel` would use for so many microseconds of work. Where it is 1, the caller may do
  // the work without calling `parallel`.
  virtual int64_t threads(double micros) const = 0;
};

// How many of `there_are` threads should share so many microseconds of work. At least 1. One more is taken only where
// the work outweighs the start of another thread.
int64_t worthwhile_threads(double micros, int64_t there_are);

}  // namespace namegen::cpu
