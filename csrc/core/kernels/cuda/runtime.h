// What the interface of the CUDA kernels needs of CUDA's runtime. Under NAMEGEN_EMULATE_CUDA an emulation on the CPU
// gives the same names (tests/cpp/cuda/emulation.h). By it the kernels are tested where there is no GPU.
#pragma once

#if defined(NAMEGEN_EMULATE_CUDA)
#include "cuda/emulation.h"
#else
#include <cuda_runtime_api.h>
#endif
