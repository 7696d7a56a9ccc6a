// The extension module namegen_ext._C: loading it registers the operators; it also tells what was built.
#include <ATen/Parallel.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>

#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "bindings/sampling.h"
#include "kernels/cpu/dispatch.h"
#include "ops/common.h"

namespace {

#if defined(NAMEGEN_CUDA_ARCHITECTURES)
constexpr const char* kCompiler = NAMEGEN_COMPILER ", " NAMEGEN_CUDA_COMPILER;
constexpr const char* kCudaNote = "";
constexpr const char* kCudaArchitectures = NAMEGEN_CUDA_ARCHITECTURES;
#else
constexpr const char* kCompiler = NAMEGEN_COMPILER;
constexpr const char* kCudaNote =
    NAMEGEN_CUDA_NOTE[0] != '\0' ? NAMEGEN_CUDA_NOTE : "the build was not told to compile any";
constexpr const char* kCudaArchitectures = "";
#endif

int64_t multiply_adds(int64_t rounds) {
  std::atomic<int64_t> operations = 0;
  pybind11::gil_scoped_release release;
  namegen::ops::TorchContext context;
  const auto task = [&] { operations += namegen::cpu::kernels().multiply_adds(rounds); };
  context.parallel(
      at::get_num_threads(), 1e9, [](void* state, int64_t) { (*static_cast<decltype(task)*>(state))(); },
      const_cast<void*>(static_cast<const void*>(&task)));
  return operations;
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "Compiled part of namegen_ext: operators under torch.ops.namegen_ext, and what was built.";
  m.attr("TORCH_VERSION") = NAMEGEN_TORCH_VERSION;  // of the torch that this was compiled against
  m.attr("COMPILER") = kCompiler;
  m.attr("CUDA_NOTE") = kCudaNote;                    // empty, or why there are no CUDA kernels
  m.attr("CUDA_ARCHITECTURES") = kCudaArchitectures;  // as CMake names them: "80-real,90-real,90-virtual"
  m.def("compiled_isas", &namegen::cpu::compiled_isas, "Instruction sets that kernels were compiled for.");
  m.def("supported_isas", &namegen::cpu::supported_isas, "Those of them that this CPU has.");
  m.def(
      "chosen_isa", [] { return std::string(namegen::cpu::kernels().isa); },
      "The instruction set in use. Raises RuntimeError where NAMEGEN_CPU_ISA asks for one that cannot be had.");
  m.def("multiply_adds", &multiply_adds, pybind11::arg("rounds"),
        "Rounds of float32 multiply-adds in registers, on each of torch's threads; returns the number of operations.");
  namegen::bindings::define_operators(m);
  namegen::bindings::bind_step_engine(m);
  namegen::bindings::define_counts(m);
  namegen::bindings::define_sampling(m);
}
