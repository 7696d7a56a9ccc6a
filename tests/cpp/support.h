// What the C++ tests share: a check that counts failures, contexts, and random data.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/aligned_memory.h"
#include "kernels/cpu/cpu_kernels.h"

namespace namegen::test {

inline std::atomic<int> failures = 0;  // atomic, since any thread may check

inline void check(bool holds, const std::string& what) {
  if (holds) return;
  if (++failures <= 20) std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

inline int result(const char* name) {
  std::printf("%s: %s\n", name, failures == 0 ? "ok" : "FAILED");
  return failures == 0 ? 0 : 1;
}

// Every piece of scratch memory is an allocation of its own, so that a sanitizer sees a step beyond its end. It is
// filled with NaN, so that reading what was never written shows. Tasks run on `threads` threads, in turn.
class TestContext final : public cpu::Context {
 public:
  explicit TestContext(int threads = 1, double alone_below = 0) : threads_(threads), alone_below_(alone_below) {}

  void* scratch(size_t bytes) override {
    const size_t rounded = (bytes + 63) / 64 * 64;
    void* memory = cpu::allocate_aligned(64, rounded > 0 ? rounded : 64);
    for (size_t i = 0; i < rounded; ++i) static_cast<unsigned char*>(memory)[i] = 0xff;
    blocks_.emplace_back(memory);
    return memory;
  }

  void parallel(int64_t tasks, double, Task task, void* state) override {
    std::vector<std::thread> workers;
    for (int t = 1; t < threads_; ++t) {
      workers.emplace_back([=] {
        for (int64_t i = t; i < tasks; i += threads_) task(state, i);
      });
    }
    for (int64_t i = 0; i < tasks; i += threads_) task(state, i);
    for (std::thread& worker : workers) worker.join();
  }
  // Tasks are always taken one by one.
  int64_t threads(double micros) const override { return micros < alone_below_ ? 1 : threads_ > 1 ? threads_ : 2; }

 private:
  int threads_;
  double alone_below_;  // microseconds
  std::vector<std::unique_ptr<void, cpu::FreeAligned>> blocks_;
};

template <class T>
std::vector<T> random_values(size_t count, std::mt19937& generator) {
  std::normal_distribution<double> normal;
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(normal(generator));
  return values;
}

template <class T>
constexpr DType dtype_of() {
  return sizeof(T) == 8 ? DType::kFloat64 : DType::kFloat32;
}
template <class T>
constexpr double epsilon() {
  return sizeof(T) == 8 ? 0x1p-52 : 0x1p-23;
}

}  // namespace namegen::test
