// The table of one instruction set's functions. Each array is by dtype, in the order of DType.
#include "kernels/cpu/kernel_table.h"

#define NAMEGEN_STRING_(x) #x
#define NAMEGEN_STRING(x) NAMEGEN_STRING_(x)

namespace namegen::cpu::NAMEGEN_ISA {

const Kernels kKernels = {
    NAMEGEN_STRING(NAMEGEN_ISA),
    multiply_adds,
    {tanh_array<float>, tanh_array<double>, tanh_array<BFloat16>, tanh_array<Float16>},
    {embedding_concat_linear_forward<float>, embedding_concat_linear_forward<double>,
     embedding_concat_linear_forward<BFloat16>, embedding_concat_linear_forward<Float16>},
    {embedding_concat_linear_backward<float>, embedding_concat_linear_backward<double>,
     embedding_concat_linear_backward<BFloat16>, embedding_concat_linear_backward<Float16>},
    {batch_norm_forward<float>, batch_norm_forward<double>, batch_norm_forward<BFloat16>, batch_norm_forward<Float16>},
    {batch_norm_backward<float>, batch_norm_backward<double>, batch_norm_backward<BFloat16>,
     batch_norm_backward<Float16>},
    {embedding_concat_linear_batch_norm_forward<float>, embedding_concat_linear_batch_norm_forward<double>},
    {embedding_concat_linear_batch_norm_backward<float>, embedding_concat_linear_batch_norm_backward<double>},
    {linear_forward<float>, linear_forward<double>},
    {linear_backward<float>, linear_backward<double>},
    {gelu_array<float>, gelu_array<double>},
};

}  // namespace namegen::cpu::NAMEGEN_ISA
