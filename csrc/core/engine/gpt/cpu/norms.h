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

// The means over the first `columns` values of up to kWidth rows: lane r is that of what value_at(r, c) gives for the
// vectors of row r. The lanes of all rows are added up together, which takes as many shuffles as one row alone would in
// four steps. Lanes beyond the rows are 0.
template <class T, class ValueAt>
inline Vec<T> means_of_rows(int64_t rows, int64_t columns, const ValueAt& value_at) {
  const int64_t whole = columns / kWidth<T> * kWidth<T>;
  Vec<T> sums[kWidth<T>] = {};
  for (int64_t r = 0; r < rows; ++r) {
    Vec<T> sum = {};
    for (int64_t c = 0; c < whole; c += kWidth<T>) sum += value_at(r, c);
    if (whole < columns) sum += lanes_below(columns - whole, value_at(r, whole), Vec<T>{});
    sums[r] = sum;
  }
  return sums_of_lanes<T>(sums) / T(columns);
}

// Normalises up to kWidth rows: writes xhat and rstd.
template <bool Centred, class T>
inline void normalise_few_rows(const Rows<T>& x, int64_t rows, int64_t columns, double eps, const Rows<T>& xhat,
                               T* rstd) {
  alignas(kVectorBytes) T means[kWidth<T>] = {}, factors[kWidth<T>];
  if (Centred) {
    store(means, means_of_rows<T>(rows, columns, [&](int64_t r, int64_t c) { return load(x.row(r) + c); }));
  }
  const Vec<T> squares = means_of_rows<T>(rows, columns, [&](int64_t r, int64_t c) {
    const Vec<T> d = load(x.row(r) + c) - means[r];
    return d * d;
  });
  const Vec<T> inverse = T(1) / square_roots(squares + T(eps));
  store(factors, inverse);
  store_first(rstd, inverse, rows);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      store(xhat.row(r) + c, (load(x.row(r) + c) - means[r]) * factors[r]);
    }
  }
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
  for (int64_t r = 0; r < count; r += kWidth<T>) {
    const int64_t rows = smaller(kWidth<T>, count - r);
    if (norm.kind == engine::GptNorms::kLayer) {
      normalise_few_rows<true>(x.from(r), rows, columns, norm.eps, xhat.from(r), rstd + r);
    } else {
      normalise_few_rows<false>(x.from(r), rows, columns, norm.eps, xhat.from(r), rstd + r);
    }
  }
  return scaled_rows(norm, xhat, count, columns, y);
}

// The gradients of a norm's parameters; null where it has none.
template <class T>
struct NormGradients {
  T *weight, *bias;
};

// Goes back through up to kWidth rows.
template <bool Add, bool Centred, class T>
inline void norm_backward_few_rows(const Norm<T>& norm, const Rows<T>& dy, int64_t rows, int64_t columns,
                                   const Rows<T>& xhat, const T* rstd, const NormGradients<T>& gradients,
                                   const Rows<T>& dx) {
  const T* weight = norm.weight;
  T *dweight = gradients.weight, *dbias = gradients.bias;
  const auto g = [&](int64_t r, int64_t c) {
    return Centred ? load(dy.row(r) + c) * load(weight + c) : load(dy.row(r) + c);
  };
  alignas(kVectorBytes) T means[kWidth<T>] = {}, slopes[kWidth<T>];
  if (Centred) store(means, means_of_rows<T>(rows, columns, g));
  store(slopes, means_of_rows<T>(rows, columns, [&](int64_t r, int64_t c) { return g(r, c) * load(xhat.row(r) + c); }));
  for (int64_t c = 0; c < columns; c += kWidth<T>) {
    Vec<T> weight_sum = {}, bias_sum = {};
    for (int64_t r = 0; r < rows; ++r) {
      const Vec<T> gradient = load(dy.row(r) + c), normal = load(xhat.row(r) + c);
      const Vec<T> centred = Centred ? gradient * load(weight + c) - means[r] : gradient;
      const Vec<T> value = (centred - normal * slopes[r]) * rstd[r];
      weight_sum += gradient * normal;
      bias_sum += gradient;
      T* target = dx.row(r) + c;
      store(target, Add ? load(target) + value : value);
    }
    if (Centred) {
      store(dweight + c, load(dweight + c) + weight_sum);
      if (dbias != nullptr) store(dbias + c, load(dbias + c) + bias_sum);
    }
  }
}

// Adds the gradient of x to dx, or with Add = false writes it there; dx may then be dy. Adds to the gradients of the
// parameters.
template <bool Add, class T>
inline void norm_backward(const Norm<T>& norm, const Rows<T>& dy, int64_t count, int64_t columns, const Rows<T>& xhat,
                          const T* rstd, const NormGradients<T>& gradients, const Rows<T>& dx) {
  for (int64_t r = 0; r < count; r += kWidth<T>) {
    const int64_t rows = smaller(kWidth<T>, count - r);
    if (norm.kind == engine::GptNorms::kLayer) {
      norm_backward_few_rows<Add, true>(norm, dy.from(r), rows, columns, xhat.from(r), rstd + r, gradients, dx.from(r));
    } else {
      norm_backward_few_rows<Add, false>(norm, dy.from(r), rows, columns, xhat.from(r), rstd + r, gradients,
                                         dx.from(r));
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
