// The extension module namegen_ext._core: the step engine, sampling, and what was built. It knows no torch.
#include <nanobind/nanobind.h>

#include "bindings/parts.h"

NB_MODULE(_core, m) {
  m.doc() = "Native part of namegen_ext that needs no torch: training steps, drawing names, and what was built.";
  m.attr("COMPILER") = NAMEGEN_COMPILER;
  namegen::bindings::bind_machine(m);
  namegen::bindings::bind_counts(m);
  namegen::bindings::bind_step_engine(m);
  namegen::bindings::bind_gpt_engine(m);
  namegen::bindings::bind_sampling(m);
}
