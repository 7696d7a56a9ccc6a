// Which instruction sets namegen_ext._core was compiled for and which one it uses, and the rate of multiply-adds.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>

#include "bindings/parts.h"
#include "kernels/cpu/dispatch.h"
#include "threads/thread_context.h"

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

}  // namespace

void bind_instruction_sets(nb::module_& m) {
  m.def("compiled_isas", &cpu::compiled_isas, "Instruction sets that kernels were compiled for.");
  m.def("supported_isas", &cpu::supported_isas, "Those of them that this CPU has.");
  m.def(
      "chosen_isa", [] { return std::string(cpu::kernels().isa); },
      "The instruction set in use. Raises RuntimeError where NAMEGEN_CPU_ISA asks for one that cannot be had.");
  m.def("multiply_adds", &multiply_adds, nb::arg("rounds"),
        "Rounds of float32 multiply-adds in registers, on each thread; returns the number of operations.");
}

}  // namespace namegen::bindings
