// The linears of a GPT's layers on rows of activations.
#pragma once

#include "engine/gpt/cpu/gpt_passes.h"

namespace namegen::cpu::NAMEGEN_ISA {

// store_at(row, column, value): the vectors of x @ weight + bias.
template <class T, class Store>
inline void linear_rows(const GptParameters<T>& p, const GptLinear& linear, const Rows<T>& x, int64_t count,
                        const Store& store_at) {
  const T* bias = linear.bias < 0 ? nullptr : p.values + linear.bias;
  multiply_panels<T>(x, count, {linear.inputs, linear.outputs}, p.values + linear.weight,
                     [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                       for (int v = 0; v < decltype(nv)::value; ++v) {
                         const int64_t at = column + v * kWidth<T>;
                         store_at(r, at, bias == nullptr ? sums[v] : sums[v] + load(bias + at));
                       }
                     });
}

// Adds x @ weight + bias to the rows of `sum`.
template <class T>
inline void add_linear_rows(const GptParameters<T>& p, const GptLinear& linear, const Rows<T>& x, int64_t count,
                            const Rows<T>& sum) {
  linear_rows(p, linear, x, count, [=](int64_t r, int64_t c, Vec<T> value) {
    T* at = sum.row(r) + c;
    store(at, load(at) + value);
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
