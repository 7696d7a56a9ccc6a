// torch's threads, for a process that has loaded torch: a second set of threads would compete with them for the cores.
// They are reached through torch's C interface (torch/csrc/stable/c/shim.h, torch 2.10), whose functions are looked up
// at run time, so that nothing here is compiled or linked against torch.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <stdexcept>

namespace namegen::threads {

struct TorchThreads {
  using Range = void (*)(int64_t begin, int64_t end, void* context);

  // Both return 0, or something else where they failed.
  int32_t (*parallel_for)(int64_t begin, int64_t end, int64_t grain, Range range, void* context);
  int32_t (*get_num_threads)(uint32_t* number);

  // Those of the OpenMP that torch runs on; null where its threads are others.
  int (*omp_get_max_threads)();
  void (*omp_set_num_threads)(int);
  int (*omp_pause_resource_all)(int kind);
};

// torch's threads; null where the process has loaded no torch, or one older than 2.10. A torch that is loaded later is
// found by the next call. The first call that finds it makes forks safe: a fork copies only the thread that calls it,
// and in the child OpenMP, torch's own layers included, would wait for ever for the threads that it had before. From
// then on OpenMP lets go of its threads before each fork, and both sides start them anew where they need them.
const TorchThreads* torch_threads();

// Runs body(first, last) on torch's threads for ranges that make up [begin, end), each of `grain` or more where there
// are so many. What a range throws is thrown here, by one of those that threw.
template <class Body>
void parallel_ranges(const TorchThreads& torch, int64_t begin, int64_t end, int64_t grain, const Body& body) {
  struct State {
    const Body& body;
    std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
    std::exception_ptr error;
  } state{body, ATOMIC_FLAG_INIT, nullptr};
  const TorchThreads::Range run = [](int64_t first, int64_t last, void* context) {
    State& s = *static_cast<State*>(context);
    try {
      s.body(first, last);
    } catch (...) {
      if (!s.has_failed.test_and_set()) s.error = std::current_exception();
    }
  };
  if (torch.parallel_for(begin, end, grain, run, &state) != 0) throw std::runtime_error("torch_parallel_for failed");
  if (state.error) std::rethrow_exception(state.error);
}

}  // namespace namegen::threads
