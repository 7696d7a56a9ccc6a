// Layer norm of rows: y = xhat * weight + bias with xhat = (x - mean) * rstd, and the way back from dy:
//
//     g = dy * weight,    dx = rstd * (g - mean(g) - xhat * mean(g * xhat)),    dweight = sum of dy * xhat,    dbias =
//     sum of dy
//
// The mean is taken off before squares are summed. Sums over a row leave out what is beyond its columns.
#pragma once

#include "engine/gpt/cpu/panel_products.h"
#include "kernels/cpu/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The sum over the first `columns` values of what value_at(c) gives for the vector from column c on.
template <class T, class ValueAt>
inline T sum_of_row(int64_t columns, const ValueAt& value_at) {
  const int64_t whole = columns / kWidth<T> * kWidth<T>;
  Vec<T> sum = {};
  for (int64_t c = 0; c < whole; c += kWidth<T>) sum += value_at(c);
  if (whole < columns) sum += lanes_below(columns - whole, value_at(whole), Vec<T>{});
  return sum_lanes<T>(sum);
}

// Normalises one row: writes xhat; returns rstd.
template <class T>
inline T normalise_row(const T* x, int64_t columns, double eps, T* xhat) {
  const T mean = sum_of_row<T>(columns, [=](int64_t c) { return load(x + c); }) / T(columns);
  const T squares = sum_of_row<T>(columns, [=](int64_t c) {
    const Vec<T> d = load(x + c) - mean;
    return d * d;
  });
  const T rstd = T(1) / square_root(squares / T(columns) + T(eps));
  for (int64_t c = 0; c < columns; c += kWidth<T>) store(xhat + c, (load(x + c) - mean) * rstd);
  return rstd;
}

// y = xhat * weight + bias.
template <class T>
inline void scale_rows(const Rows<T>& xhat, int64_t count, int64_t columns, const T* weight, const T* bias,
                       const Rows<T>& y) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      store(y.row(r) + c, load(xhat.row(r) + c) * load(weight + c) + load(bias + c));
    }
  }
}

template <class T>
inline void layer_norm(const Rows<T>& x, int64_t count, int64_t columns, double eps, const T* weight, const T* bias,
                       const Rows<T>& xhat, T* rstd, const Rows<T>& y) {
  for (int64_t r = 0; r < count; ++r) rstd[r] = normalise_row(x.row(r), columns, eps, xhat.row(r));
  scale_rows(xhat, count, columns, weight, bias, y);
}

// dx += the gradient of x, or = where it is the first, in place of dy then if wanted; dweight and dbias are added to.
template <bool Add, class T>
inline void layer_norm_backward(const Rows<T>& dy, int64_t count, int64_t columns, const Rows<T>& xhat, const T* rstd,
                                const T* weight, T* dweight, T* dbias, const Rows<T>& dx) {
  for (int64_t r = 0; r < count; ++r) {
    const T *d = dy.row(r), *h = xhat.row(r);
    const auto g = [=](int64_t c) { return load(d + c) * load(weight + c); };
    const T mean = sum_of_row<T>(columns, g) / T(columns);
    const T slope = sum_of_row<T>(columns, [=](int64_t c) { return g(c) * load(h + c); }) / T(columns);
    T* target = dx.row(r);
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      const Vec<T> gradient = load(d + c), normal = load(h + c);
      const Vec<T> value = (gradient * load(weight + c) - mean - normal * slope) * rstd[r];
      store(dweight + c, load(dweight + c) + gradient * normal);
      store(dbias + c, load(dbias + c) + gradient);
      store(target + c, Add ? load(target + c) + value : value);
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
