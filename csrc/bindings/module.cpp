// The extension module namegen_ext._C: loading it registers the operators; it also tells what was built.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/sampling.h"
#include "kernels/cpu/dispatch.h"

PYBIND11_MODULE(_C, m) {
  m.doc() = "Compiled part of namegen_ext: operators under torch.ops.namegen_ext, and what was built.";
  m.attr("TORCH_VERSION") = NAMEGEN_TORCH_VERSION;  // of the torch that this was compiled against
  m.attr("COMPILER") = NAMEGEN_COMPILER;
  m.attr("CUDA_NOTE") = NAMEGEN_CUDA_NOTE;  // empty, or why there are no CUDA kernels
  m.def("compiled_isas", &namegen::cpu::compiled_isas, "Instruction sets that kernels were compiled for.");
  m.def("supported_isas", &namegen::cpu::supported_isas, "Those of them that this CPU has.");
  m.def(
      "chosen_isa", [] { return std::string(namegen::cpu::kernels().isa); },
      "The instruction set in use. Raises RuntimeError where NAMEGEN_CPU_ISA asks for one that cannot be had.");
  namegen::bindings::define_sampling(m);
}
