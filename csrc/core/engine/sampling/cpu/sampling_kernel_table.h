// The functions of one instruction set, which sampling_kernel_table.cpp puts into a table.
#pragma once

#include "engine/sampling/sampling_kernels.h"

#if !defined(NAMEGEN_ISA)
#define NAMEGEN_ISA baseline
#endif

namespace namegen::cpu::NAMEGEN_ISA {

void philox_words(const sampling::PhiloxWords& p);
int64_t table_turn(const sampling::TableTurn& p);
void draw_from_rows(const sampling::RowDraws& p);
void cumulative_to_rows(const sampling::Cumulative& p);
void gathered_sum(const sampling::GatheredSum& p);
void pack_weight(const float* weight, int64_t depth, int64_t columns, float* packed);
void product(const sampling::Product& p);
bool softmax(const sampling::Softmax& p);
bool probabilities(const sampling::Probabilities& p);
bool log_totals(const sampling::LogTotals& p);
void logarithms(const sampling::Logarithms& p);
void weighted_sum(const sampling::WeightedSum& p);

extern const sampling::SamplingKernels kSamplingKernels;

}  // namespace namegen::cpu::NAMEGEN_ISA
