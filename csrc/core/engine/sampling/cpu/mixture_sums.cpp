// The arithmetic of a mixture: logarithms of probabilities, and weighted sums of logits.
#include "engine/sampling/cpu/sampling_kernel_table.h"
#include "kernels/cpu/log.h"

namespace namegen::cpu::NAMEGEN_ISA {

void logarithms(const sampling::Logarithms& p) {
  for (int64_t i = 0; i < p.count; i += kWidth<float>) store(p.values + i, log(load(p.values + i), p.of_zero));
}

void weighted_sum(const sampling::WeightedSum& p) {
  for (int64_t i = 0; i < p.count; i += kWidth<float>) {
    Vec<float> sum = {};
    for (int64_t j = 0; j < p.parts; ++j) sum += load(p.part[j] + i) * p.weight[j];
    store(p.output + i, sum);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
