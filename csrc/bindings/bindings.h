// The parts of the extension module, one a file.
#pragma once

#include <pybind11/pybind11.h>

namespace namegen::bindings {

void bind_step_engine(pybind11::module_& m);

}  // namespace namegen::bindings
