// Causal attention of the nodes of a forest, each to the path from its root, itself included. Nodes come in depth-first
// order, so the keys and values of a path are a stack: a node puts its own at its depth, and attends to all up to
// there. No matrix of positions by positions exists.
//
// For one head, q, k_j, v_j being its parts of the rows and s = 1 / sqrt(head size):
//
//     p = softmax over j of s * q . k_j,    o = sum over j of p_j v_j
//
// and back from do, in the reverse order of the nodes:
//
//     dp_j = do . v_j,    ds_j = p_j (dp_j - sum over i of p_i dp_i)
//     dq = s * sum over j of ds_j k_j,    dk_j += s * ds_j q,    dv_j += p_j do
//
// The gradients of the stack's keys and values gather from all nodes below their own, and are complete when it is left.
// Products whose sum goes over a head's values read a stack that lies by value, (E, positions), so that a vector holds
// positions; those whose sum goes over positions read one of rows, (positions, E).
#pragma once

#include "engine/gpt/cpu/products.h"
#include "engine/gpt/forest.h"
#include "engine/training/softmax_cross_entropy.h"
#include "kernels/cpu/exp.h"

namespace namegen::cpu::NAMEGEN_ISA {

struct AttentionShape {
  int64_t embed, heads, head_size;
  int64_t positions;  // padded: no fewer than the longest path
};

// `columns` of a row, the last vector's other lanes 0 or left as they are.
template <class T>
inline void copy_row(const T* source, int64_t columns, T* target) {
  int64_t c = 0;
  for (; c + kWidth<T> <= columns; c += kWidth<T>) store(target + c, load(source + c));
  if (c < columns) store_first(target + c, load_first(source + c, columns - c), columns - c);
}

// Puts a row into the stack that lies by value.
template <class T>
inline void put_column(const T* row, const AttentionShape& shape, int64_t position, T* stack) {
  T* target = stack + position;
#pragma GCC unroll 8
  for (int64_t e = 0; e < shape.embed; ++e, target += shape.positions) *target = row[e];
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

// The vector, from `position` on, of the sums over one head's values of row[e] * stack[e][position].
template <class T>
inline Vec<T> dot_positions(const T* row, const T* stack, const AttentionShape& shape, int64_t position) {
  Vec<T> even = {}, odd = {};
  const T* column = stack + position;
  int64_t e = 0;
  for (; e + 1 < shape.head_size; e += 2, column += 2 * shape.positions) {
    even += load(column) * broadcast(row[e]);
    odd += load(column + shape.positions) * broadcast(row[e + 1]);
  }
  if (e < shape.head_size) even += load(column) * broadcast(row[e]);
  return even + odd;
}

// Probabilities of one head over positions [0, count).
template <class T>
inline void attend(const T* query, const T* keys, const AttentionShape& shape, T scale, int64_t count, T* p) {
  const int64_t vectors = ceil_div(count, kWidth<T>), last = count - (vectors - 1) * kWidth<T>;
  const Vec<T> nothing = broadcast(T(-__builtin_inf()));
  const auto greater = [](Vec<T> a, Vec<T> b) { return a > b ? a : b; };
  if (vectors == 1) {  // a short path stays in registers
    const Vec<T> score = lanes_below(last, dot_positions(query, keys, shape, 0) * scale, nothing);
    const Vec<T> e = exp(score - combine_lanes<T>(score, greater));
    store(p, e / combine_lanes<T>(e, [](Vec<T> a, Vec<T> b) { return a + b; }));
    return;
  }
  Vec<T> most = nothing;
  for (int64_t v = 0; v < vectors; ++v) {
    Vec<T> score = dot_positions(query, keys, shape, v * kWidth<T>) * scale;
    if (v == vectors - 1) score = lanes_below(last, score, nothing);
    store(p + v * kWidth<T>, score);
    most = score > most ? score : most;
  }
  const Vec<T> top = combine_lanes<T>(most, greater);
  Vec<T> sum = {};
  for (int64_t v = 0; v < vectors; ++v) {
    const Vec<T> e = exp(load(p + v * kWidth<T>) - top);
    sum += e;
    store(p + v * kWidth<T>, e);
  }
  const T factor = T(1) / sum_lanes<T>(sum);
  for (int64_t v = 0; v < vectors; ++v) store(p + v * kWidth<T>, load(p + v * kWidth<T>) * factor);
}

// Arrays of a pass over the nodes of a piece. Rows of `projections` are query, key and value side by side.
template <class T>
struct AttentionRows {
  Rows<T> projections;     // (nodes, 3E); the backward pass writes their gradients to `gradients`
  Rows<T> output;          // (nodes, E): o, or its gradient in the backward pass
  Rows<T> gradients;       // (nodes, 3E)
  T* p;                    // of node i from p_begin[i] on: for each head a row of whole vectors over its path
  const int64_t* p_begin;  // (nodes)
  T *columns, *rows;       // the stacks: (E, positions) and (positions, padded E)
  T *key_gradients, *value_gradients;  // (positions, padded E), zero before and after
};

// For each of the NV vectors from column `first` on: where its head's probabilities begin in rows of `path`.
template <int NV, class T>
struct HeadOffsets {
  int64_t at[NV];
  HeadOffsets(const AttentionShape& shape, int64_t first, int64_t path) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) at[v] = (first + v * kWidth<T>) / shape.head_size * path;
  }
};

// o of a node whose path has `count` positions, from the rows of probabilities of all heads. Positions are the outer
// loop: its end is what a CPU cannot foresee, once a node then, not once a head.
template <bool Whole, class T>
inline void add_values(const AttentionShape& shape, int64_t count, const T* p, int64_t path, const T* values,
                       T* output) {
  const int64_t stride = padded<T>(shape.embed);
  if constexpr (Whole) {
    const Panels<T> panels{shape.embed};
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
      with_vectors(panels.vectors(panel), [&](auto nv) {
        constexpr int NV = decltype(nv)::value;
        const int64_t first = panels.first(panel);
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
    }
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

template <bool Whole, class T>
void attention_forward(const engine::ForestPiece& piece, const AttentionShape& shape, const AttentionRows<T>& a) {
  const int64_t embed = shape.embed, stride = padded<T>(embed);
  const T scale = T(1) / square_root(T(shape.head_size));
  for (int64_t i = 0; i < piece.nodes; ++i) {
    const int64_t depth = piece.depth[i], path = padded<T>(depth + 1);
    const T* row = a.projections.row(i);
    put_column(row + embed, shape, depth, a.columns);
    copy_row(row + 2 * embed, embed, a.rows + depth * stride);
    T* p = a.p + a.p_begin[i];
    for (int64_t h = 0; h < shape.heads; ++h) {
      const int64_t first = h * shape.head_size;
      attend(row + first, a.columns + first * shape.positions, shape, scale, depth + 1, p + h * path);
    }
    add_values<Whole>(shape, depth + 1, p, path, a.rows, a.output.row(i));
  }
}

// Puts the keys and values of the path to node i into the stacks, from the positions on that the node after it does not
// share: those below its own position.
template <class T>
inline void put_path(const engine::ForestPiece& piece, const AttentionShape& shape, const AttentionRows<T>& a,
                     int64_t node, int64_t from) {
  for (; node >= 0 && piece.depth[node] >= from; node = piece.parent[node]) {
    const T* row = a.projections.row(node);
    copy_row(row + shape.embed, shape.embed, a.rows + piece.depth[node] * padded<T>(shape.embed));
    put_column(row + 2 * shape.embed, shape, piece.depth[node], a.columns);
  }
}

// ds of one head over positions [0, count), from its do and p.
template <class T>
inline void attend_backward(const T* output_gradient, const T* values, const AttentionShape& shape, T scale,
                            int64_t count, const T* p, T* ds) {
  const int64_t vectors = ceil_div(count, kWidth<T>), last = count - (vectors - 1) * kWidth<T>;
  if (vectors == 1) {
    const Vec<T> dp = lanes_below(last, dot_positions(output_gradient, values, shape, 0), Vec<T>{}), weight = load(p);
    const Vec<T> mean = combine_lanes<T>(dp * weight, [](Vec<T> a, Vec<T> b) { return a + b; });
    store(ds, weight * (dp - mean) * scale);
    return;
  }
  Vec<T> sum = {};
  for (int64_t v = 0; v < vectors; ++v) {
    Vec<T> dp = dot_positions(output_gradient, values, shape, v * kWidth<T>);
    if (v == vectors - 1) dp = lanes_below(last, dp, Vec<T>{});
    store(ds + v * kWidth<T>, dp);
    sum += dp * load(p + v * kWidth<T>);
  }
  const T mean = sum_lanes<T>(sum);
  for (int64_t v = 0; v < vectors; ++v) {
    store(ds + v * kWidth<T>, load(p + v * kWidth<T>) * (load(ds + v * kWidth<T>) - mean) * scale);
  }
}

// dq of a node, and its share of the gradients of the keys and values of its path.
template <bool Whole, class T>
inline void add_gradients(const AttentionShape& shape, int64_t count, const T* p, const T* ds, int64_t path,
                          const T* query, const T* output_gradient, const AttentionRows<T>& a, T* query_gradient) {
  const int64_t stride = padded<T>(shape.embed);
  if constexpr (Whole) {
    const Panels<T> panels{shape.embed};
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
      with_vectors(panels.vectors(panel), [&](auto nv) {
        constexpr int NV = decltype(nv)::value;
        const int64_t first = panels.first(panel);
        const HeadOffsets<NV, T> heads(shape, first, path);
        Vec<T> q[NV], d[NV], dq[NV] = {};
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          q[v] = load(query + first + v * kWidth<T>);
          d[v] = load(output_gradient + first + v * kWidth<T>);
        }
        const T* keys = a.rows + first;
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
    }
  } else {
    for (int64_t h = 0; h < shape.heads; ++h, p += path, ds += path) {
      for_head<Whole, T>(shape.head_size, [&](int64_t c, int64_t lanes) {
        const int64_t at = h * shape.head_size + c;
        const Vec<T> q = load_lanes<Whole>(query + at, lanes), d = load_lanes<Whole>(output_gradient + at, lanes);
        Vec<T> dq = {};
        for (int64_t j = 0; j < count; ++j) {
          const Vec<T> slope = broadcast(ds[j]);
          T *dk = a.key_gradients + j * stride + at, *dv = a.value_gradients + j * stride + at;
          dq += slope * load_lanes<Whole>(a.rows + j * stride + at, lanes);
          store_lanes<Whole>(dk, load_lanes<Whole>(dk, lanes) + slope * q, lanes);
          store_lanes<Whole>(dv, load_lanes<Whole>(dv, lanes) + broadcast(p[j]) * d, lanes);
        }
        store_lanes<Whole>(query_gradient + at, dq, lanes);
      });
    }
  }
}

template <bool Whole, class T>
void attention_backward(const engine::ForestPiece& piece, const AttentionShape& shape, const AttentionRows<T>& a,
                        T* ds) {
  const int64_t embed = shape.embed, stride = padded<T>(embed);
  const T scale = T(1) / square_root(T(shape.head_size));
  for (int64_t i = piece.nodes - 1; i >= 0; --i) {
    const int64_t depth = piece.depth[i], path = padded<T>(depth + 1);
    put_path(piece, shape, a, i, i + 1 < piece.nodes ? piece.depth[i + 1] : 0);
    const T *query = a.projections.row(i), *gradient = a.output.row(i), *p = a.p + a.p_begin[i];
    for (int64_t h = 0; h < shape.heads; ++h) {
      const int64_t first = h * shape.head_size;
      attend_backward(gradient + first, a.columns + first * shape.positions, shape, scale, depth + 1, p + h * path,
                      ds + h * path);
    }
    T* target = a.gradients.row(i);
    add_gradients<Whole>(shape, depth + 1, p, ds, path, query, gradient, a, target);
    // All nodes below have added their share.
    T *dk = a.key_gradients + depth * stride, *dv = a.value_gradients + depth * stride;
    copy_row(dk, embed, target + embed);
    copy_row(dv, embed, target + 2 * embed);
    fill_zero(dk, embed);
    fill_zero(dv, embed);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
