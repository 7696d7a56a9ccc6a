// The native sampler in Python: the submodule namegen_ext._C.sampling.
#pragma once

#include <pybind11/pybind11.h>

namespace namegen::bindings {

void define_sampling(pybind11::module_& module);

}  // namespace namegen::bindings
