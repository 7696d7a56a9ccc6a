// The functions of one instruction set, which kernel_table.cpp puts into a table.
#pragma once

#include "kernels/cpu/cpu_kernels.h"

#if !defined(NAMEGEN_ISA)
#define NAMEGEN_ISA baseline
#endif

namespace namegen::cpu::NAMEGEN_ISA {

int64_t multiply_adds(int64_t rounds);
template <class Data>
void tanh_array(int64_t count, const void* input, void* output);
template <class T>
void gelu_array(int64_t count, const void* input, void* values, void* slopes);
template <class Data>
void embedding_concat_linear_forward(const EmbeddingConcatLinearForward& p, Context& context);
template <class Data>
void embedding_concat_linear_backward(const EmbeddingConcatLinearBackward& p, Context& context);
template <class Data>
void batch_norm_forward(const BatchNormForward& p, Context& context);
template <class Data>
void batch_norm_backward(const BatchNormBackward& p, Context& context);
template <class T>
void embedding_concat_linear_batch_norm_forward(const EmbeddingConcatLinearBatchNormForward& p, Context& context);
template <class T>
void embedding_concat_linear_batch_norm_backward(const EmbeddingConcatLinearBatchNormBackward& p, Context& context);
template <class Data>
void linear_forward(const LinearForward& p, Context& context);
template <class Data>
void linear_backward(const LinearBackward& p, Context& context);

extern const Kernels kKernels;

}  // namespace namegen::cpu::NAMEGEN_ISA
