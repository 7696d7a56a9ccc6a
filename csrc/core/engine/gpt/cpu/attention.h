// Causal attention. Each node of a forest attends to all nodes on the path from its root, and to itself. The nodes come
// in depth-first order, so the keys and values of a path are a stack: a node puts its own at its depth, and attends to
// all up to there. No matrix of positions by positions exists.
//
// For one head, with q, k_j and v_j its parts of the rows and s = 1 / sqrt(head size):
//
//     p = softmax over j of s * q . k_j,    o = sum over j of p_j v_j
//
// and back from do, in the reverse order of the nodes:
//
//     dp_j = do . v_j,    ds_j = p_j (dp_j - sum over i of p_i dp_i)
//     dq = s * sum over j of ds_j k_j,    dk_j += s * ds_j q,    dv_j += p_j do
//
// The gradients of a node's keys and values gather from all nodes below it. They are complete when the node is left.
//
// Most paths are short. With up to 4 or 8 positions, two or four heads share a vector of 16 lanes, so that one
// exponential and one sum over lanes serve them all.
#pragma once

#include "engine/gpt/cpu/panel_products.h"
#include "engine/gpt/forest.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {

struct AttentionShape {
  int64_t embed, heads, head_size;
};

// How the values of one head fill vectors.
enum class HeadVectors : int { kPartial, kWhole, kOne };

template <class T>
inline HeadVectors head_vectors(int64_t head_size) {
  return head_size == kWidth<T>       ? HeadVectors::kOne
         : head_size % kWidth<T> == 0 ? HeadVectors::kWhole
                                      : HeadVectors::kPartial;
}

// The distance between the probabilities of two heads, for paths of `count` positions: a part of a vector, or whole
// ones.
template <class T>
inline int64_t path_stride(int64_t count) {
  if (kWidth<T> > 4 && count <= 4) return 4;
  if (kWidth<T> > 8 && count <= 8) return 8;
  return padded<T>(count);
}

// Copies `columns` values of a row. The other lanes of the last vector stay as they are, or are 0 while they are
// loaded.
template <class T>
inline void copy_row(const T* source, int64_t columns, T* target) {
  int64_t c = 0;
  for (; c + kWidth<T> <= columns; c += kWidth<T>) store(target + c, load(source + c));
  if (c < columns) store_first(target + c, load_first(source + c, columns - c), columns - c);
}

// body(column, lanes) for the vectors of one head's values; all lanes are in use where heads are whole vectors.
template <bool Whole, class T, class Body>
inline void for_head(int64_t head_size, const Body& body) {
  for (int64_t c = 0; c < head_size; c += kWidth<T>) body(c, Whole ? kWidth<T> : smaller(kWidth<T>, head_size - c));
}
template <bool Whole, class T>
inline Vec<T> load_lanes(const T* p, int64_t lanes) {
  return Whole ? load(p) : load_first(p, lanes);
}
template <bool Whole, class T>
inline void store_lanes(T* p, Vec<T> v, int64_t lanes) {
  if (Whole) {
    store(p, v);
  } else {
    store_first(p, v, lanes);
  }
}

// The products of one head's values, whose sum over lanes is the dot product.
template <HeadVectors Heads, class T>
inline Vec<T> products_of_head(const T* a, const T* b, int64_t head_size) {
  if constexpr (Heads == HeadVectors::kOne) {
    return load(a) * load(b);
  } else {
    constexpr bool kWhole = Heads == HeadVectors::kWhole;
    Vec<T> sum = {};
    for_head<kWhole, T>(head_size, [&](int64_t c, int64_t lanes) {
      sum += load_lanes<kWhole>(a + c, lanes) * load_lanes<kWhole>(b + c, lanes);
    });
    return sum;
  }
}

// Lane g * P + j: the dot product of head `first_head` + g of a row with that of row j of the stack, for j < P. A
// vector holds as many heads as fit into it. Lanes beyond the last head repeat the last head.
template <int P, HeadVectors Heads, class T>
inline Vec<T> dots(const T* row, const T* stack, const AttentionShape& shape, int64_t first_head) {
  const int64_t stride = padded<T>(shape.embed);
  Vec<T> products[kWidth<T>];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth<T>; ++i) {
    const int64_t at = smaller(first_head + i / P, shape.heads - 1) * shape.head_size;
    products[i] = products_of_head<Heads>(row + at, stack + (i % P) * stride + at, shape.head_size);
  }
  return sums_of_lanes<T>(products);
}

// Combines each group of P neighbouring lanes, and writes the result to all of them.
template <class T, int Distance, int... I>
inline Vec<T> swap_lanes(Vec<T> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I ^ Distance)...);
}
template <class T, int P, class Combine>
inline Vec<T> combine_neighbours(Vec<T> v, const Combine& combine) {
  if constexpr (P > 1) {
    const Vec<T> other = swap_lanes<T, P / 2>(v, std::make_integer_sequence<int, kWidth<T>>{});
    return combine_neighbours<T, P / 2>(combine(v, other), combine);
  } else {
    return v;
  }
}

// Keeps v in the lanes whose number within their group of P is below `count`. The others become `other`.
template <int P, class T, int... I>
inline Vec<T> positions_below(int64_t count, Vec<T> v, Vec<T> other, std::integer_sequence<int, I...>) {
  const Vec<T> position = {T(I % P)...};
  return position < broadcast(T(count)) ? v : other;
}
template <int P, class T>
inline Vec<T> positions_below(int64_t count, Vec<T> v, Vec<T> other) {
  return positions_below<P, T>(count, v, other, std::make_integer_sequence<int, kWidth<T>>{});
}

template <class T>
inline Vec<T> greater_of(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}
template <class T>
inline Vec<T> sum_of(Vec<T> a, Vec<T> b) {
  return a + b;
}

// Probabilities of all heads over positions [0, count), count <= P.
template <int P, HeadVectors Heads, class T>
inline void attend_short(const T* query, const T* keys, const AttentionShape& shape, T scale, int64_t count, T* p) {
  for (int64_t h = 0; h < shape.heads; h += kWidth<T> / P, p += kWidth<T>) {
    const Vec<T> score =
        positions_below<P, T>(count, dots<P, Heads>(query, keys, shape, h) * scale, broadcast(T(-__builtin_inf())));
    const Vec<T> e = exp(score - combine_neighbours<T, P>(score, greater_of<T>));
    store(p, e / combine_neighbours<T, P>(e, sum_of<T>));
  }
}

// The same for any count: rows of whole vectors.
template <HeadVectors Heads, class T>
inline void attend_long(const T* query, const T* keys, const AttentionShape& shape, T scale, int64_t count, T* p) {
  constexpr int kP = kWidth<T>;
  const int64_t path = padded<T>(count), stride = padded<T>(shape.embed);
  for (int64_t h = 0; h < shape.heads; ++h, p += path) {
    Vec<T> most = broadcast(T(-__builtin_inf()));
    for (int64_t j = 0; j < path; j += kP) {
      const Vec<T> score = positions_below<kP, T>(
          count - j, dots<kP, Heads>(query, keys + j * stride, shape, h) * scale, broadcast(T(-__builtin_inf())));
      store(p + j, score);
      most = greater_of<T>(score, most);
    }
    const Vec<T> top = combine_lanes<T>(most, greater_of<T>);
    Vec<T> sum = {};
    for (int64_t j = 0; j < path; j += kP) {
      const Vec<T> e = exp(load(p + j) - top);
      sum += e;
      store(p + j, e);
    }
    const T factor = T(1) / sum_lanes<T>(sum);
    for (int64_t j = 0; j < path; j += kP) store(p + j, load(p + j) * factor);
  }
}

template <HeadVectors Heads, class T>
inline void attend(const T* query, const T* keys, const AttentionShape& shape, T scale, int64_t count, T* p) {
  const int64_t path = path_stride<T>(count);
  if constexpr (kWidth<T> > 4) {
    if (path == 4) return attend_short<4, Heads>(query, keys, shape, scale, count, p);
  }
  if constexpr (kWidth<T> > 8) {
    if (path == 8) return attend_short<8, Heads>(query, keys, shape, scale, count, p);
  }
  if (path == kWidth<T>) return attend_short<kWidth<T>, Heads>(query, keys, shape, scale, count, p);
  attend_long<Heads>(query, keys, shape, scale, count, p);
}

// ds of all heads over positions [0, count), from do and p.
template <int P, HeadVectors Heads, class T>
inline void slopes_short(const T* output_gradient, const T* values, const AttentionShape& shape, T scale, int64_t count,
                         const T* p, T* ds) {
  for (int64_t h = 0; h < shape.heads; h += kWidth<T> / P, p += kWidth<T>, ds += kWidth<T>) {
    const Vec<T> dp = positions_below<P, T>(count, dots<P, Heads>(output_gradient, values, shape, h), Vec<T>{});
    const Vec<T> weight = load(p);
    store(ds, weight * (dp - combine_neighbours<T, P>(dp * weight, sum_of<T>)) * scale);
  }
}
template <HeadVectors Heads, class T>
inline void slopes_long(const T* output_gradient, const T* values, const AttentionShape& shape, T scale, int64_t count,
                        const T* p, T* ds) {
  constexpr int kP = kWidth<T>;
  const int64_t path = padded<T>(count), stride = padded<T>(shape.embed);
  for (int64_t h = 0; h < shape.heads; ++h, p += path, ds += path) {
    Vec<T> sum = {};
    for (int64_t j = 0; j < path; j += kP) {
      const Vec<T> dp =
          positions_below<kP, T>(count - j, dots<kP, Heads>(output_gradient, values + j * stride, shape, h), Vec<T>{});
      store(ds + j, dp);
      sum += dp * load(p + j);
    }
    const T mean = sum_lanes<T>(sum);
    for (int64_t j = 0; j < path; j += kP) store(ds + j, load(p + j) * (load(ds + j) - mean) * scale);
  }
}
template <HeadVectors Heads, class T>
inline void slopes(const T* output_gradient, const T* values, const AttentionShape& shape, T scale, int64_t count,
                   const T* p, T* ds) {
  const int64_t path = path_stride<T>(count);
  if constexpr (kWidth<T> > 4) {
    if (path == 4) return slopes_short<4, Heads>(output_gradient, values, shape, scale, count, p, ds);
  }
  if constexpr (kWidth<T> > 8) {
    if (path == 8) return slopes_short<8, Heads>(output_gradient, values, shape, scale, count, p, ds);
  }
  if (path == kWidth<T>) return slopes_short<kWidth<T>, Heads>(output_gradient, values, shape, scale, count, p, ds);
  slopes_long<Heads>(output_gradient, values, shape, scale, count, p, ds);
}

// Arrays of a pass over the nodes of a piece. Rows of `projections` are query, key and value side by side.
template <class T>
struct AttentionRows {
  Rows<T> projections;     // (nodes, 3E)
  Rows<T> output;          // (nodes, E): o, or its gradient in the backward pass
  Rows<T> gradients;       // (nodes, 3E): of the projections, written by the backward pass
  T* p;                    // of node i from p_begin[i] on: of each head a row over its path, path_stride apart
  const int64_t* p_begin;  // (nodes)
  T *keys, *values;        // the stacks: (positions, padded E)
  T *key_gradients, *value_gradients;  // (positions, padded E), zero before and after
};

// Puts a node's key and value into the stacks.
template <class T>
inline void put_node(const engine::ForestPiece& piece, const AttentionShape& shape, const AttentionRows<T>& a,
                     int64_t node) {
  const T* row = a.projections.row(node);
  const int64_t at = piece.depth[node] * padded<T>(shape.embed);
  copy_row(row + shape.embed, shape.embed, a.keys + at);
  copy_row(row + 2 * shape.embed, shape.embed, a.values + at);
}

// For each of the NV vectors from column `first` on: where its head's probabilities begin in rows of `path`.
template <int NV, class T>
struct HeadOffsets {
  int64_t at[NV];
  HeadOffsets(const AttentionShape& shape, int64_t first, int64_t path) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) at[v] = (first + v * kWidth<T>) / shape.head_size * path;
  }
};

// Computes o of a node whose path has `count` positions, from the rows of probabilities of all heads. Positions are the
// outer loop, because the CPU mispredicts its end: so that happens once for each node, not once for each head.
template <bool Whole, class T>
inline void add_values(const AttentionShape& shape, int64_t count, const T* p, int64_t path, const T* values,
                       T* output) {
  const int64_t stride = padded<T>(shape.embed);
  if constexpr (Whole) {
    for_each_panel<T>(shape.embed, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      const int64_t first = panel.column;
      const HeadOffsets<NV, T> heads(shape, first, path);
      Vec<T> sums[NV] = {};
      const T* row = values + first;
      for (int64_t j = 0; j < count; ++j, row += stride) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sums[v] += load(row + v * kWidth<T>) * broadcast(p[heads.at[v] + j]);
      }
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) store(output + first + v * kWidth<T>, sums[v]);
    });
  } else {
    for (int64_t h = 0; h < shape.heads; ++h, p += path) {
      for_head<Whole, T>(shape.head_size, [&](int64_t c, int64_t lanes) {
        const int64_t at = h * shape.head_size + c;
        Vec<T> sum = {};
        for (int64_t j = 0; j < count; ++j) {
          sum += load_lanes<Whole>(values + j * stride + at, lanes) * broadcast(p[j]);
        }
        store_lanes<Whole>(output + at, sum, lanes);
      });
    }
  }
}

// Nodes [first, end) of a piece. The stacks are those that the nodes before have left.
template <HeadVectors Heads, class T>
void attention_forward(const engine::ForestPiece& piece, int64_t first, int64_t end, const AttentionShape& shape,
                       const AttentionRows<T>& a) {
  const T scale = T(1) / square_root(T(shape.head_size));
  for (int64_t i = first; i < end; ++i) {
    const int64_t count = piece.depth[i] + 1;
    T* p = a.p + a.p_begin[i];
    put_node(piece, shape, a, i);
    attend<Heads>(a.projections.row(i), a.keys, shape, scale, count, p);
    add_values<Heads != HeadVectors::kPartial>(shape, count, p, path_stride<T>(count), a.values, a.output.row(i));
  }
}

// Computes dq of a node, and adds its share to the gradients of the keys and values of its path.
template <bool Whole, class T>
inline void add_gradients(const AttentionShape& shape, int64_t count, const T* p, const T* ds, int64_t path,
                          const T* query, const T* output_gradient, const AttentionRows<T>& a, T* query_gradient) {
  const int64_t stride = padded<T>(shape.embed);
  if constexpr (Whole) {
    for_each_panel<T>(shape.embed, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      const int64_t first = panel.column;
      const HeadOffsets<NV, T> heads(shape, first, path);
      Vec<T> q[NV], d[NV], dq[NV] = {};
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        q[v] = load(query + first + v * kWidth<T>);
        d[v] = load(output_gradient + first + v * kWidth<T>);
      }
      const T* keys = a.keys + first;
      T *dk = a.key_gradients + first, *dv = a.value_gradients + first;
      for (int64_t j = 0; j < count; ++j, keys += stride, dk += stride, dv += stride) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const int64_t at = v * kWidth<T>;
          const Vec<T> slope = broadcast(ds[heads.at[v] + j]);
          dq[v] += slope * load(keys + at);
          store(dk + at, load(dk + at) + slope * q[v]);
          store(dv + at, load(dv + at) + broadcast(p[heads.at[v] + j]) * d[v]);
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) store(query_gradient + first + v * kWidth<T>, dq[v]);
    });
  } else {
    for (int64_t h = 0; h < shape.heads; ++h, p += path, ds += path) {
      for_head<Whole, T>(shape.head_size, [&](int64_t c, int64_t lanes) {
        const int64_t at = h * shape.head_size + c;
        const Vec<T> q = load_lanes<Whole>(query + at, lanes), d = load_lanes<Whole>(output_gradient + at, lanes);
        Vec<T> dq = {};
        for (int64_t j = 0; j < count; ++j) {
          const Vec<T> slope = broadcast(ds[j]);
          T *dk = a.key_gradients + j * stride + at, *dv = a.value_gradients + j * stride + at;
          dq += slope * load_lanes<Whole>(a.keys + j * stride + at, lanes);
          store_lanes<Whole>(dk, load_lanes<Whole>(dk, lanes) + slope * q, lanes);
          store_lanes<Whole>(dv, load_lanes<Whole>(dv, lanes) + broadcast(p[j]) * d, lanes);
        }
        store_lanes<Whole>(query_gradient + at, dq, lanes);
      });
    }
  }
}

// Nodes [first, end) of a piece, in reverse order. The stacks are those that the nodes behind have left.
// node_backward(node, positions on its path, row of gradients) computes dq, and adds to the gradients of the path.
template <class T, class NodeBackward>
inline void attention_backward_by(const engine::ForestPiece& piece, int64_t first, int64_t end,
                                  const AttentionShape& shape, const AttentionRows<T>& a,
                                  const NodeBackward& node_backward) {
  const int64_t embed = shape.embed, stride = padded<T>(embed);
  for (int64_t i = end - 1; i >= first; --i) {
    const int64_t depth = piece.depth[i], count = depth + 1;
    // The stacks hold the path of the next node. That node is a child of this one, or of a node above it.
    const int64_t shared = i + 1 < piece.nodes ? piece.depth[i + 1] : 0;
    for (int64_t node = i; node >= 0 && piece.depth[node] >= shared; node = piece.parent[node]) {
      put_node(piece, shape, a, node);
    }
    T* target = a.gradients.row(i);
    node_backward(i, count, target);
    // All nodes below have added their share.
    T *dk = a.key_gradients + depth * stride, *dv = a.value_gradients + depth * stride;
    copy_row(dk, embed, target + embed);
    copy_row(dv, embed, target + 2 * embed);
    fill_zero(dk, embed);
    fill_zero(dv, embed);
  }
}

template <HeadVectors Heads, class T>
void attention_backward(const engine::ForestPiece& piece, int64_t first, int64_t end, const AttentionShape& shape,
                        const AttentionRows<T>& a, T* ds) {
  const T scale = T(1) / square_root(T(shape.head_size));
  attention_backward_by(piece, first, end, shape, a, [&](int64_t i, int64_t count, T* target) {
    const T *query = a.projections.row(i), *gradient = a.output.row(i), *p = a.p + a.p_begin[i];
    slopes<Heads>(gradient, a.values, shape, scale, count, p, ds);
    add_gradients<Heads != HeadVectors::kPartial>(shape, count, p, ds, path_stride<T>(count), query, gradient, a,
                                                  target);
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
