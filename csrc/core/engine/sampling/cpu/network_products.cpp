// The arithmetic of a network in evaluation: sums of table rows, and products with weights. The result for one context
// does not depend on the contexts beside it, since every sum has one order.
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
  for_each_panel<float>(p.columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const PackedRows<float, NV> weights{p.packed + panel.column * p.depth};
    for_tiles<NV>(0, p.count, [&](int64_t row, int64_t rows) {
      const auto a = rows_of_a<float>(rows, [&](int64_t i) { return p.input + (row + i) * p.input_stride; });
      tile_of<NV, float>(
          rows, 1, p.depth, [&](int64_t) { return a; }, weights,
          [&](int i, const Vec<float>* sums) {
            store_vectors<NV>(p.output + (row + i) * p.output_stride + panel.column, sums);
          });
    });
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
