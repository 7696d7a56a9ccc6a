// The norms of rows. Layer norm: y = xhat * weight + bias with xhat = (x - mean) * rstd, and the way back from dy:
//
//     g = dy * weight,    dx = rstd * (g - mean(g) - xhat * mean(g * xhat))
//     dweight = sum of dy * xhat,    dbias = sum of dy
//
// Its bias may be left out. RMS norm takes no mean off, and has neither weight nor bias: y = xhat = x * rstd, and
// dx = rstd * (dy - xhat * mean(dy * xhat)).
//
// The mean is taken off before squares are summed. Sums over a row leave out what is beyond its columns.
#pragma once

#include "engine/gpt/cpu/panel_products.h"
#include "kernels/cpu/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {

// A norm's settings and parameters.
template <class T>
struct Norm {
  engine::GptNorms kind;
  double eps;
  const T* weight;  // (columns); null for RMS norm
  const T* bias;    // (columns), or null
};

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
template <bool Centred, class T>
inline T normalise_row(const T* x, int64_t columns, double eps, T* xhat) {
  const T mean = Centred ? sum_of_row<T>(columns, [=](int64_t c) { return load(x + c); }) / T(columns) : T(0);
  const T squares = sum_of_row<T>(columns, [=](int64_t c) {
    const Vec<T> d = Centred ? load(x + c) - mean : load(x + c);
    return d * d;
  });
  const T rstd = T(1) / square_root(squares / T(columns) + T(eps));
  for (int64_t c = 0; c < columns; c += kWidth<T>) {
    store(xhat + c, (Centred ? load(x + c) - mean : load(x + c)) * rstd);
  }
  return rstd;
}

// y = xhat * weight + bias. Returns y, or xhat where the norm has no weight: then y is not written.
template <class T>
inline Rows<T> scaled_rows(const Norm<T>& norm, const Rows<T>& xhat, int64_t count, int64_t columns, const Rows<T>& y) {
  const T *weight = norm.weight, *bias = norm.bias;
  if (weight == nullptr) return xhat;
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      const Vec<T> scaled = load(xhat.row(r) + c) * load(weight + c);
      store(y.row(r) + c, bias == nullptr ? scaled : scaled + load(bias + c));
    }
  }
  return y;
}

// Normalises rows: writes xhat and rstd; returns the result as scaled_rows does. xhat may be x.
template <class T>
inline Rows<T> normalise_rows(const Norm<T>& norm, const Rows<T>& x, int64_t count, int64_t columns,
                              const Rows<T>& xhat, T* rstd, const Rows<T>& y) {
  for (int64_t r = 0; r < count; ++r) {
    rstd[r] = norm.kind == engine::GptNorms::kLayer ? normalise_row<true>(x.row(r), columns, norm.eps, xhat.row(r))
                                                    : normalise_row<false>(x.row(r), columns, norm.eps, xhat.row(r));
  }
  return scaled_rows(norm, xhat, count, columns, y);
}

// The gradients of a norm's parameters; null where it has none.
template <class T>
struct NormGradients {
  T *weight, *bias;
};

template <bool Add, bool Centred, class T>
inline void norm_backward_rows(const Norm<T>& norm, const Rows<T>& dy, int64_t count, int64_t columns,
                               const Rows<T>& xhat, const T* rstd, const NormGradients<T>& gradients,
                               const Rows<T>& dx) {
  const T* weight = norm.weight;
  T *dweight = gradients.weight, *dbias = gradients.bias;
  for (int64_t r = 0; r < count; ++r) {
    const T *d = dy.row(r), *h = xhat.row(r);
    const auto g = [=](int64_t c) { return Centred ? load(d + c) * load(weight + c) : load(d + c); };
    const T mean = Centred ? sum_of_row<T>(columns, g) / T(columns) : T(0);
    const T slope = sum_of_row<T>(columns, [=](int64_t c) { return g(c) * load(h + c); }) / T(columns);
    T* target = dx.row(r);
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      const Vec<T> gradient = load(d + c), normal = load(h + c);
      const Vec<T> centred = Centred ? gradient * load(weight + c) - mean : gradient;
      const Vec<T> value = (centred - normal * slope) * rstd[r];
      if (Centred) {
        store(dweight + c, load(dweight + c) + gradient * normal);
        if (dbias != nullptr) store(dbias + c, load(dbias + c) + gradient);
      }
      store(target + c, Add ? load(target + c) + value : value);
    }
  }
}

// Adds the gradient of x to dx, or with Add = false writes it there; dx may then be dy. Adds to the gradients of the
// parameters.
template <bool Add, class T>
inline void norm_backward(const Norm<T>& norm, const Rows<T>& dy, int64_t count, int64_t columns, const Rows<T>& xhat,
                          const T* rstd, const NormGradients<T>& gradients, const Rows<T>& dx) {
  if (norm.kind == engine::GptNorms::kLayer) {
    norm_backward_rows<Add, true>(norm, dy, count, columns, xhat, rstd, gradients, dx);
  } else {
    norm_backward_rows<Add, false>(norm, dy, count, columns, xhat, rstd, gradients, dx);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
