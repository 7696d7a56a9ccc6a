// Arrays that Python hands over: numpy's, and those of any other package that shares memory by DLPack.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace namegen::bindings {

namespace nb = nanobind;

// Both hold a reference to the object that the memory belongs to.
template <class T>
using Readable = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Writable = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class T>
constexpr const char* dtype_name();
template <>
constexpr const char* dtype_name<float>() {
  return "float32";
}
template <>
constexpr const char* dtype_name<double>() {
  return "float64";
}
template <>
constexpr const char* dtype_name<int32_t>() {
  return "int32";
}
template <>
constexpr const char* dtype_name<int64_t>() {
  return "int64";
}

// "a float64 array of shape (2, 3)", "a list": for error messages.
std::string describe(nb::handle value);

// Raises TypeError: `name` must be a contiguous array of `dtype`, but is `value`.
[[noreturn]] void refuse_array(const char* name, const char* dtype, nb::handle value);
// Raises ValueError where `data` is not aligned to `alignment`.
void require_aligned(const char* name, const void* data, size_t size, size_t alignment);

// The memory of an array as it is. Raises TypeError for another dtype, for an array that is not contiguous and for what
// is no array; ValueError for one that is not aligned.
template <class T>
Readable<T> readable(const char* name, nb::handle value) {
  Readable<T> array;
  if (!nb::try_cast(value, array, false)) refuse_array(name, dtype_name<T>(), value);
  require_aligned(name, array.data(), array.size(), alignof(T));
  return array;
}

// The same for memory to write to. Raises ValueError where the array is read-only.
template <class T>
Writable<T> writable(const char* name, nb::handle value) {
  Writable<T> array;
  if (!nb::try_cast(value, array, false)) {
    Readable<T> read_only;
    if (nb::try_cast(value, read_only, false)) {
      throw nb::value_error((std::string(name) + " is not writeable").c_str());
    }
    refuse_array(name, dtype_name<T>(), value);
  }
  require_aligned(name, array.data(), array.size(), alignof(T));
  return array;
}

// Converts whatever numpy makes an array of. Raises TypeError, naming the argument, where numpy cannot.
nb::object as_numpy(const char* name, nb::handle value, const char* dtype);

template <class T>
Readable<T> converted(const char* name, nb::handle value) {
  return readable<T>(name, as_numpy(name, value, dtype_name<T>()));
}

template <class T>
std::vector<T> to_vector(const Readable<T>& array) {
  return {array.data(), array.data() + array.size()};
}

// numpy.empty(shape, dtype), and where its memory is.
nb::object empty_numpy(const std::vector<int64_t>& shape, const char* dtype);

template <class T>
struct NewArray {
  explicit NewArray(const std::vector<int64_t>& shape)
      : object(empty_numpy(shape, dtype_name<T>())), data(writable<T>("the result", object).data()) {}

  nb::object object;
  T* data;
};

template <class T>
nb::object numpy_copy(const std::vector<T>& values) {
  const NewArray<T> result({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), result.data);
  return result.object;
}

}  // namespace namegen::bindings
