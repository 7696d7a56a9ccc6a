// Sums in double precision for vectors of float: a vector of T as one or two vectors of double.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class T>
struct Wide;

template <>
struct Wide<double> {
  Vec<double> value = {};

  Wide() = default;
  explicit Wide(Vec<double> v) : value(v) {}
  Vec<double> narrowed() const { return value; }

  Wide& operator+=(const Wide& other) {
    value += other.value;
    return *this;
  }
  Wide operator-(const Wide& other) const { return Wide(value - other.value); }
  Wide operator*(const Wide& other) const { return Wide(value * other.value); }
  Wide operator*(double factor) const { return Wide(value * factor); }
};

template <>
struct Wide<float> {
  Vec<double> low = {}, high = {};

  Wide() = default;
  explicit Wide(Vec<float> v) {
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    struct Halves {
      Half low, high;
    };
    const Halves halves = __builtin_bit_cast(Halves, v);
    low = __builtin_convertvector(halves.low, Vec<double>);
    high = __builtin_convertvector(halves.high, Vec<double>);
  }
  Wide(Vec<double> l, Vec<double> h) : low(l), high(h) {}
  Vec<float> narrowed() const {
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    struct Halves {
      Half low, high;
    };
    return __builtin_bit_cast(Vec<float>,
                              Halves{__builtin_convertvector(low, Half), __builtin_convertvector(high, Half)});
  }

  Wide& operator+=(const Wide& other) {
    low += other.low;
    high += other.high;
    return *this;
  }
  Wide operator-(const Wide& other) const { return {low - other.low, high - other.high}; }
  Wide operator*(const Wide& other) const { return {low * other.low, high * other.high}; }
  Wide operator*(double factor) const { return {low * factor, high * factor}; }
};

}  // namespace namegen::cpu::NAMEGEN_ISA
