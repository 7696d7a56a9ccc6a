// y = x @ W^T + b with x (N, K) and W (H, K). Its gradients are dx = dy @ W, dW = dy^T @ x and db = the sum of dy's
// rows.
//
// All three products go through the same register tiles. One operand is packed into panels of columns, the other is
// read where it lies, by rows or by columns. Sums run in the order of k: in one go or, for dW, in pieces of N.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// A(i, k), where rows lie `row` and columns `column` elements apart.
template <class T>
struct StridedA {
  const T* at;
  int64_t row, column;
  T operator()(int i, int64_t k) const { return at[i * row + k * column]; }
  StridedA from(int64_t i) const { return {at + i * row, row, column}; }
};

// Where one panel of columns of a product goes. The sums are written with the bias added, or added to what is there.
template <class T>
struct Target {
  T* at;
  int64_t stride;
  const T* bias;  // of the panel's columns, or null
  bool add;
  int64_t last;  // columns in the last vector
  Target from(int64_t i) const { return {at + i * stride, stride, bias, add, last}; }
};

template <int MR, int NV, class T>
inline void tile_to(const StridedA<T>& a, int64_t depth, const T* packed, const Target<T>& target) {
  tile<MR, NV, T>(
      MR, 1, depth, [&](int64_t) { return a; }, PackedRows<T, NV>{packed},
      [&, target](int i, const Vec<T>* sums) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          T* c = target.at + i * target.stride + v * kWidth<T>;
          const int64_t lanes = v < NV - 1 ? kWidth<T> : target.last;
          Vec<T> sum = sums[v];
          if (target.add) sum += load_first(c, lanes);
          if (target.bias != nullptr) sum += load_first(target.bias + v * kWidth<T>, lanes);
          store_first(c, sum, lanes);
        }
      });
}

// A panel of columns of A @ B, for `rows` rows.
template <class T>
void multiply(const StridedA<T>& a, int64_t rows, int64_t depth, const T* packed, int64_t vectors,
              const Target<T>& target) {
  with_vectors(vectors, [&](auto nv) {
    constexpr int NV = decltype(nv)::value;
    constexpr int64_t kMost = kTileRows<NV>;
    int64_t row = 0;
    for (; row + kMost <= rows; row += kMost) tile_to<kMost, NV>(a.from(row), depth, packed, target.from(row));
    for (; row + 2 <= rows; row += 2) tile_to<2, NV>(a.from(row), depth, packed, target.from(row));
    if (row < rows) tile_to<1, NV>(a.from(row), depth, packed, target.from(row));
  });
}

constexpr int64_t kTaskRows = 48;

// C = A @ B + bias. pack(panel, k, count, target) packs `count` rows from k on of a panel of B (depth, columns). Each
// task takes some rows of A, which are contiguous. Of a deep B a piece of the rows is packed at a time.
template <class T, class Pack>
void rows_by_panels(const T* a, int64_t rows, int64_t depth, const Pack& pack, int64_t columns, const T* bias, T* c,
                    Context& context) {
  if (rows == 0 || columns == 0) return;  // there may be 2^62 rows without columns
  constexpr int64_t kDepth = 2048;        // a packed panel takes half a MiB at most
  const Panels<T> panels{columns};
  int64_t k = 0;
  do {
    const int64_t count = smaller(kDepth, depth - k);
    const auto pack_piece = [&](int64_t panel, T* packed) { pack(panel, k, count, packed); };
    by_packed_panels<T>(context, columns, count, pack_piece, [&](int64_t first, int64_t end, const auto& packed) {
      const double micros = 2.0 * rows * count * (end - first) * kPanel<T> / kFlopsPerMicro;
      parallel_for(context, ceil_div(rows, kTaskRows), micros, [&](int64_t task) {
        const int64_t row = task * kTaskRows, task_rows = smaller(kTaskRows, rows - row);
        for (int64_t panel = first; panel < end; ++panel) {
          const int64_t column = panels.first(panel);
          const Target<T> target{c + row * columns + column, columns,
                                 k > 0 || bias == nullptr ? nullptr : bias + column, k > 0, panels.last(panel)};
          multiply<T>({a + row * depth + k, depth, 1}, task_rows, count, packed(panel), panels.vectors(panel), target);
        }
      });
    });
    k += count;
  } while (k < depth);
}

template <class T>
void input_gradient(const LinearBackward& p, Context& context) {
  const T* weight = static_cast<const T*>(p.weight);
  const Panels<T> panels{p.in_features};
  const auto pack = [&](int64_t panel, int64_t first, int64_t count, T* packed) {
    const T* rows = weight + first * p.in_features + panels.first(panel);
    pack_rows([&](int64_t h) { return rows + h * p.in_features; }, count, panels.width(panel), packed);
  };
  rows_by_panels<T>(static_cast<const T*>(p.grad_output), p.rows, p.out_features, pack, p.in_features, nullptr,
                    static_cast<T*>(p.grad_input), context);
}

// Each task takes a panel of columns of x, and packs a piece of its rows at a time. A piece stays in L1 beside the
// columns of dy.
template <class T>
void weight_gradient(const LinearBackward& p, Context& context) {
  constexpr int64_t kDepth = 64;
  const T* dy = static_cast<const T*>(p.grad_output);
  const Panels<T> panels{p.in_features};
  const double micros = 2.0 * p.rows * p.in_features * p.out_features / kFlopsPerMicro;
  parallel_for(context, panels.count(), micros, [&](int64_t panel) {
    const int64_t column = panels.first(panel), width = panels.width(panel);
    const T* x = static_cast<const T*>(p.input) + column;
    T* grad = static_cast<T*>(p.grad_weight) + column;
    alignas(64) T packed[kDepth * kPanel<T>];
    for (int64_t n = 0; n < p.rows; n += kDepth) {
      const int64_t depth = smaller(kDepth, p.rows - n);
      pack_rows([&](int64_t k) { return x + (n + k) * p.in_features; }, depth, width, packed);
      const Target<T> target{grad, p.in_features, nullptr, n > 0, panels.last(panel)};
      multiply<T>({dy + n * p.out_features, 1, p.out_features}, p.out_features, depth, packed, panels.vectors(panel),
                  target);
    }
  });
}

template <class T>
void bias_gradient(const LinearBackward& p, Context& context) {
  const T* dy = static_cast<const T*>(p.grad_output);
  const double micros = double(p.rows) * p.out_features * sizeof(T) / kBytesPerMicro;
  const Panels<T> panels{p.out_features};
  parallel_for(context, panels.count(), micros, [&](int64_t number) {
    with_panel(panels, number, [&](auto nv, const Panel& panel) {
      const PlainRows<T, decltype(nv)::value> rows{dy + panel.column, p.out_features, panel.last};
      sum_plain_rows(rows, p.rows, static_cast<T*>(p.grad_bias) + panel.column);
    });
  });
}

}  // namespace

template <class T>
void linear_forward(const LinearForward& p, Context& context) {
  const T* weight = static_cast<const T*>(p.weight);
  const auto pack = [&](int64_t panel, int64_t first, int64_t count, T* packed) {
    pack_transposed(weight + first, p.in_features, p.out_features, count, panel, packed);
  };
  rows_by_panels<T>(static_cast<const T*>(p.input), p.rows, p.in_features, pack, p.out_features,
                    static_cast<const T*>(p.bias), static_cast<T*>(p.output), context);
}

template <class T>
void linear_backward(const LinearBackward& p, Context& context) {
  if (p.grad_input != nullptr) input_gradient<T>(p, context);
  if (p.grad_weight != nullptr) {
    if (p.rows == 0) {
      fill_zero(static_cast<T*>(p.grad_weight), p.in_features * p.out_features);
    } else {
      weight_gradient<T>(p, context);
    }
  }
  if (p.grad_bias != nullptr) bias_gradient<T>(p, context);
}

template void linear_forward<float>(const LinearForward&, Context&);
template void linear_forward<double>(const LinearForward&, Context&);
template void linear_backward<float>(const LinearBackward&, Context&);
template void linear_backward<double>(const LinearBackward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
