// The table of one instruction set's functions.
#include "engine/sampling/cpu/sampling_kernel_table.h"

#define NAMEGEN_STRING_(x) #x
#define NAMEGEN_STRING(x) NAMEGEN_STRING_(x)

namespace namegen::cpu::NAMEGEN_ISA {

const sampling::SamplingKernels kSamplingKernels = {
    NAMEGEN_STRING(NAMEGEN_ISA),
    philox_words,
    table_turn,
    draw_from_rows,
    cumulative_to_rows,
    gathered_sum,
    pack_weight,
    product,
    softmax,
    probabilities,
    log_totals,
    logarithms,
    weighted_sum,
};

}  // namespace namegen::cpu::NAMEGEN_ISA
