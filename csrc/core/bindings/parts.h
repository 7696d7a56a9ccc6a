// The parts of the module namegen_ext._core, one a file.
#pragma once

#include <nanobind/nanobind.h>

namespace namegen::bindings {

namespace nb = nanobind;

void bind_machine(nb::module_& m);
void bind_counts(nb::module_& m);
void bind_step_engine(nb::module_& m);
void bind_gpt_engine(nb::module_& m);
void bind_sampling(nb::module_& m);

}  // namespace namegen::bindings
