// What the interface of the CUDA kernels needs of CUDA's runtime. Under NAMEGEN_EMULATE_CUDA the same names come from
// an emulation on the CPU, by which the kernels are tested where there is no GPU (tests/cpp/cuda/emulation.h).
#pragma once

#if defined(NAMEGEN_EMULATE_CUDA)
#include "cuda/emulation.h"
#else
#include <cuda_runtime_api.h>
#endif
