// The arithmetic of a network in evaluation: sums of table rows, and products by weights. What comes out for one
// context does not depend on those beside it: every sum runs over its terms in one order.
#include "engine/sampling/cpu/sampling_kernel_table.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

namespace {

template <bool WithTanh>
void gathered_sums(const sampling::GatheredSum& p) {
  constexpr int kLanes = kWidth<float>;
  for (int64_t i = 0; i < p.count; ++i) {
    const uint32_t* index = p.index + i * p.parts;
    float* output = p.output + i * p.output_stride;
    for (int64_t h = 0; h < p.features; h += kLanes) {
      Vec<float> sum = load(p.bias + h);
      for (int64_t j = 0; j < p.parts; ++j) {
        sum += load(p.table + j * p.part_stride + index[j] * p.row_stride + h);
      }
      store(output + h, WithTanh ? tanh(sum) : sum);
    }
  }
}

}  // namespace

void gathered_sum(const sampling::GatheredSum& p) { p.tanh ? gathered_sums<true>(p) : gathered_sums<false>(p); }

void pack_weight(const float* weight, int64_t depth, int64_t columns, float* packed) {
  const Panels<float> panels{columns};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    pack_transposed(weight, depth, columns, depth, panel, packed + panels.first(panel) * depth);
  }
}

void product(const sampling::Product& p) {
  const Panels<float> panels{p.columns};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const float* weights = p.packed + panels.first(panel) * p.depth;
    with_vectors(panels.vectors(panel), [&](auto vectors) {
      constexpr int kVectors = decltype(vectors)::value;
      for (int64_t row = 0; row < p.count; row += kTileRows<kVectors>) {
        const int64_t rows = smaller(kTileRows<kVectors>, p.count - row);
        const auto a = rows_of_a<float>(rows, [&](int64_t i) { return p.input + (row + i) * p.input_stride; });
        tile_of<kVectors, float>(
            rows, 1, p.depth, [&](int64_t) { return a; }, PackedRows<float, kVectors>{weights},
            [&](int i, const Vec<float>* sums) {
              float* output = p.output + (row + i) * p.output_stride + panels.first(panel);
#pragma GCC unroll 4
              for (int v = 0; v < kVectors; ++v) store(output + v * kWidth<float>, sums[v]);
            });
      }
    });
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
