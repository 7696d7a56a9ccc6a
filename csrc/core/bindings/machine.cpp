// What namegen_ext._core uses of the machine: its instruction set and its threads.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <stdexcept>

#include "bindings/parts.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/instruction_sets.h"
#include "threads/thread_context.h"
#include "threads/thread_pool.h"

namespace namegen::bindings {
namespace {

// An estimate for Context::parallel that is large enough for all threads.
constexpr double kMuchWork = 1e9;  // microseconds

int64_t multiply_adds(int64_t rounds) {
  const nb::gil_scoped_release release;
  std::atomic<int64_t> operations = 0;
  const auto task = [&] { operations += cpu::kernels().multiply_adds(rounds); };
  threads::ThreadContext context;
  context.parallel(
      context.threads(kMuchWork), kMuchWork, [](void* state, int64_t) { (*static_cast<decltype(task)*>(state))(); },
      const_cast<void*>(static_cast<const void*>(&task)));
  return operations;
}

void set_num_threads(int64_t number) {
  if (threads::torch_threads() != nullptr) {
    throw std::runtime_error("torch is loaded, so its threads are used: call torch.set_num_threads");
  }
  threads::set_own_num_threads(number);
}

}  // namespace

void bind_machine(nb::module_& m) {
  m.def("compiled_isas", &cpu::compiled_isas, "Instruction sets that kernels were compiled for.");
  m.def("supported_isas", &cpu::supported_isas, "Those of them that this CPU has.");
  m.def(
      "chosen_isa", [] { return std::string(cpu::kernels().isa); },
      "The instruction set in use. Raises RuntimeError where NAMEGEN_CPU_ISA asks for one that cannot be had.");
  m.def("multiply_adds", &multiply_adds, nb::arg("rounds"),
        "Rounds of float32 multiply-adds in registers, on each thread; returns the number of operations.");
  m.def(
      "get_num_threads", [] { return threads::num_threads(threads::torch_threads()); },
      "How many threads share the work of a training step: torch.get_num_threads() where torch is loaded, else what "
      "set_num_threads said, else the cores that this process may run on.");
  m.def(
      "set_num_threads", &set_num_threads, nb::arg("number"),
      "Set how many threads share the work of a training step where torch is not loaded. Results do not depend on it. "
      "Raises ValueError for a number that cannot be, RuntimeError where torch is loaded.");
}

}  // namespace namegen::bindings
