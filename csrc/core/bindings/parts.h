// The parts of the module namegen_ext._core, one a file.
#pragma once

#include <nanobind/nanobind.h>

namespace namegen::bindings {

void bind_machine(nanobind::module_& m);
void bind_counts(nanobind::module_& m);
void bind_step_engine(nanobind::module_& m);
void bind_gpt_engine(nanobind::module_& m);
void bind_sampling(nanobind::module_& m);

}  // namespace namegen::bindings
