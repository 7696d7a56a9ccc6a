// namegen_ext._C.batch_norm, embedding_concat_linear, linear and add_one: what the modules call on each forward pass.
#pragma once

#include <pybind11/pybind11.h>

namespace namegen::bindings {

void define_operators(pybind11::module_& m);

}  // namespace namegen::bindings
