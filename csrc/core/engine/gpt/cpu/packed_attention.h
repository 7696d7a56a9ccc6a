// Causal attention where several heads fill a vector side by side, each with 1, 2, 4 or 8 lanes. attention.h has the
// formulas and the stacks. Here every lane of a vector holds what belongs to its head: a score, a probability. The
// lanes of one head hold the same number. So each step is whole vectors, position by position, and sums over a head are
// sums over neighbouring lanes. Exponentials are taken as often as a head has lanes, which costs less than bringing the
// scores of several positions into one vector. Measured: see docs/benchmarks.md.
#pragma once

#include "engine/gpt/cpu/attention.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Whether heads of this size fill vectors side by side.
template <class T>
inline bool packs_heads(int64_t embed, int64_t head_size) {
  return head_size < kWidth<T> && kWidth<T> % head_size == 0 && embed % kWidth<T> == 0;
}

// Room for the probabilities of a node with `count` positions on its path: of each vector a row of vectors.
template <class T>
inline int64_t probabilities_of_node(int64_t embed, int64_t heads, int64_t count) {
  if (packs_heads<T>(embed, embed / heads)) return count * embed;
  return padded<T>(heads * path_stride<T>(count));
}

template <int HeadSize, class T>
inline Vec<T> sums_of_heads(Vec<T> v) {
  return combine_neighbours<T, HeadSize>(v, sum_of<T>);
}

// Nodes [first, end) of a piece. The stacks are those that the nodes before have left.
template <int HeadSize, class T>
void packed_attention_forward(const engine::ForestPiece& piece, int64_t first, int64_t end, const AttentionShape& shape,
                              const AttentionRows<T>& a) {
  const int64_t stride = shape.embed;
  const T scale = T(1) / square_root(T(HeadSize));
  for (int64_t i = first; i < end; ++i) {
    const int64_t count = piece.depth[i] + 1;
    put_node(piece, shape, a, i);
    T* p = a.p + a.p_begin[i];
    for (int64_t c = 0; c < stride; c += kWidth<T>, p += count * kWidth<T>) {
      const Vec<T> query = load(a.projections.row(i) + c) * scale;
      Vec<T> top = broadcast(T(-__builtin_inf())), sum = {}, mixed = {};
      for (int64_t j = 0; j < count; ++j) {
        const Vec<T> score = sums_of_heads<HeadSize, T>(query * load(a.keys + j * stride + c));
        store(p + j * kWidth<T>, score);
        top = greater_of<T>(score, top);
      }
      for (int64_t j = 0; j < count; ++j) {
        const Vec<T> e = exp(load(p + j * kWidth<T>) - top);
        store(p + j * kWidth<T>, e);
        sum += e;
        mixed += e * load(a.values + j * stride + c);
      }
      const Vec<T> factor = T(1) / sum;
      for (int64_t j = 0; j < count; ++j) store(p + j * kWidth<T>, load(p + j * kWidth<T>) * factor);
      store(a.output.row(i) + c, mixed * factor);
    }
  }
}

// Computes dq of a node, and adds its share to the gradients of the keys and values of its path.
template <int HeadSize, class T>
inline void packed_node_backward(const AttentionShape& shape, int64_t count, const T* p, const T* query,
                                 const T* output_gradient, const AttentionRows<T>& a, T* ds, T* query_gradient) {
  const int64_t stride = shape.embed;
  const T scale = T(1) / square_root(T(HeadSize));
  for (int64_t c = 0; c < stride; c += kWidth<T>, p += count * kWidth<T>) {
    const Vec<T> q = load(query + c), d = load(output_gradient + c);
    Vec<T> mean = {}, dq = {};
    for (int64_t j = 0; j < count; ++j) {
      const Vec<T> dp = sums_of_heads<HeadSize, T>(d * load(a.values + j * stride + c));
      store(ds + j * kWidth<T>, dp);
      mean += dp * load(p + j * kWidth<T>);
    }
    for (int64_t j = 0; j < count; ++j) {
      const Vec<T> weight = load(p + j * kWidth<T>);
      const Vec<T> slope = weight * (load(ds + j * kWidth<T>) - mean) * scale;
      T *dk = a.key_gradients + j * stride + c, *dv = a.value_gradients + j * stride + c;
      dq += slope * load(a.keys + j * stride + c);
      store(dk, load(dk) + slope * q);
      store(dv, load(dv) + weight * d);
    }
    store(query_gradient + c, dq);
  }
}

// Nodes [first, end) of a piece, in reverse order. The stacks are those that the nodes behind have left.
template <int HeadSize, class T>
void packed_attention_backward(const engine::ForestPiece& piece, int64_t first, int64_t end,
                               const AttentionShape& shape, const AttentionRows<T>& a, T* ds) {
  attention_backward_by(piece, first, end, shape, a, [&](int64_t i, int64_t count, T* target) {
    packed_node_backward<HeadSize>(shape, count, a.p + a.p_begin[i], a.projections.row(i), a.output.row(i), a, ds,
                                   target);
  });
}

// Calls body(Constant<head size>) for heads that fill vectors side by side.
template <class T, class Body>
inline void with_packed_heads(int64_t head_size, const Body& body) {
  switch (head_size) {
    case 1:
      return body(Constant<1>{});
    case 2:
      if constexpr (kWidth<T> > 2) return body(Constant<2>{});
      break;
    case 4:
      if constexpr (kWidth<T> > 4) return body(Constant<4>{});
      break;
    default:
      if constexpr (kWidth<T> > 8) return body(Constant<8>{});
      break;
  }
}

// Attention in either way, as the sizes of the heads have it.
template <class T>
inline void attend_forward(const engine::ForestPiece& piece, int64_t first, int64_t end, const AttentionShape& shape,
                           const AttentionRows<T>& rows) {
  if (packs_heads<T>(shape.embed, shape.head_size)) {
    return with_packed_heads<T>(shape.head_size, [&](auto size) {
      packed_attention_forward<decltype(size)::value>(piece, first, end, shape, rows);
    });
  }
  switch (head_vectors<T>(shape.head_size)) {
    case HeadVectors::kOne:
      return attention_forward<HeadVectors::kOne>(piece, first, end, shape, rows);
    case HeadVectors::kWhole:
      return attention_forward<HeadVectors::kWhole>(piece, first, end, shape, rows);
    case HeadVectors::kPartial:
      return attention_forward<HeadVectors::kPartial>(piece, first, end, shape, rows);
  }
}

template <class T>
inline void attend_backward(const engine::ForestPiece& piece, int64_t first, int64_t end, const AttentionShape& shape,
                            const AttentionRows<T>& rows, T* ds) {
  if (packs_heads<T>(shape.embed, shape.head_size)) {
    return with_packed_heads<T>(shape.head_size, [&](auto size) {
      packed_attention_backward<decltype(size)::value>(piece, first, end, shape, rows, ds);
    });
  }
  switch (head_vectors<T>(shape.head_size)) {
    case HeadVectors::kOne:
      return attention_backward<HeadVectors::kOne>(piece, first, end, shape, rows, ds);
    case HeadVectors::kWhole:
      return attention_backward<HeadVectors::kWhole>(piece, first, end, shape, rows, ds);
    case HeadVectors::kPartial:
      return attention_backward<HeadVectors::kPartial>(piece, first, end, shape, rows, ds);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
