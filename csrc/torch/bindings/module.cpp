// The extension module namegen_ext._C. Loading it registers the operators, and its attributes tell what was built.
#include <pybind11/pybind11.h>

#include "bindings/operators.h"
#include "threads/torch_threads.h"

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

}  // namespace

// Nothing here needs the GIL: the functions keep no state, and a tensor's own rules say who may write to it.
PYBIND11_MODULE(_C, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Part of namegen_ext that is compiled against torch: operators under torch.ops.namegen_ext.";
  // This call makes forks safe from here on, also for torch's own layers.
  if (namegen::threads::torch_threads() == nullptr) {
    throw pybind11::import_error("the loaded torch has no torch_parallel_for, which torch 2.10 and newer have");
  }
  m.attr("TORCH_VERSION") = NAMEGEN_TORCH_VERSION;  // of the torch that this was compiled against
  m.attr("COMPILER") = kCompiler;
  m.attr("CUDA_NOTE") = kCudaNote;                    // empty, or why there are no CUDA kernels
  m.attr("CUDA_ARCHITECTURES") = kCudaArchitectures;  // as CMake names them: "80-real,90-real,90-virtual"
  namegen::bindings::define_operators(m);
}
