#include "bindings/arrays.h"

namespace namegen::bindings {

std::string describe(nb::handle value) {
  nb::ndarray<nb::ro> array;
  if (!nb::try_cast(value, array, false)) return "a " + std::string(nb::type_name(value.type()).c_str());
  const nb::dlpack::dtype dtype = array.dtype();
  const char* kind = "unknown";
  switch (static_cast<nb::dlpack::dtype_code>(dtype.code)) {
    case nb::dlpack::dtype_code::Int:
      kind = "int";
      break;
    case nb::dlpack::dtype_code::UInt:
      kind = "uint";
      break;
    case nb::dlpack::dtype_code::Float:
      kind = "float";
      break;
    case nb::dlpack::dtype_code::Bfloat:
      kind = "bfloat";
      break;
    case nb::dlpack::dtype_code::Complex:
      kind = "complex";
      break;
    case nb::dlpack::dtype_code::Bool:
      kind = "bool";
      break;
    default:
      break;
  }
  std::string shape;
  for (size_t d = 0; d < array.ndim(); ++d) shape += (d > 0 ? ", " : "") + std::to_string(array.shape(d));
  return std::string("a ") + kind + std::to_string(dtype.bits) + " array of shape (" + shape + ")";
}

void refuse_array(const char* name, const char* dtype, nb::handle value) {
  const std::string text =
      std::string(name) + ": expected a contiguous " + dtype + " array on the CPU, got " + describe(value);
  throw nb::type_error(text.c_str());
}

void require_aligned(const char* name, const void* data, size_t size, size_t alignment) {
  if (size == 0 || reinterpret_cast<uintptr_t>(data) % alignment == 0) return;
  throw nb::value_error((std::string(name) + " must be aligned to its type").c_str());
}

nb::object as_numpy(const char* name, nb::handle value, const char* dtype) {
  try {
    return nb::module_::import_("numpy").attr("asarray")(value, dtype, nb::arg("order") = "C");
  } catch (const nb::python_error& error) {
    if (error.matches(PyExc_MemoryError)) throw;
    const std::string text = std::string(name) + ": expected what numpy makes a " + dtype + " array of, got " +
                             describe(value) + " (" + nb::str(error.value()).c_str() + ")";
    throw nb::type_error(text.c_str());
  }
}

nb::object empty_numpy(const std::vector<int64_t>& shape, const char* dtype) {
  nb::list sizes;
  for (const int64_t size : shape) sizes.append(size);
  return nb::module_::import_("numpy").attr("empty")(sizes, dtype);
}

}  // namespace namegen::bindings
