# The CUDA kernels, which need nvcc and nothing of torch. There is the target namegen_cuda_kernels where
# NAMEGEN_CUDA_ARCHITECTURES says what to compile for, and the target cuda_kernels_check wherever there is an nvcc.
set(NAMEGEN_CUDA_KERNELS
  ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core/kernels/cuda/batch_norm_backward.cu
  ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core/kernels/cuda/batch_norm_forward.cu
  ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core/kernels/cuda/embedding_concat_linear_backward.cu
  ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core/kernels/cuda/embedding_concat_linear_forward.cu)

if(NAMEGEN_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${NAMEGEN_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  add_library(namegen_cuda_kernels STATIC ${NAMEGEN_CUDA_KERNELS})
  target_include_directories(namegen_cuda_kernels PUBLIC csrc/core)
  target_include_directories(namegen_cuda_kernels SYSTEM INTERFACE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  set_target_properties(namegen_cuda_kernels PROPERTIES
    CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Shared)
endif()

# The check compiles every kernel for three generations of GPUs and reads the assembler's report: no register may be
# spilled, and no array may lie in local memory.
find_program(NAMEGEN_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
find_program(NAMEGEN_PYTHON NAMES python3 python)
if(NAMEGEN_NVCC AND NAMEGEN_PYTHON)
  add_custom_target(cuda_kernels_check
    COMMAND ${NAMEGEN_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/python/check_cuda_kernels.py
      --nvcc ${NAMEGEN_NVCC} --include ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core
      --architectures sm_80 sm_90 sm_100 -- ${NAMEGEN_CUDA_KERNELS}
    USES_TERMINAL VERBATIM)
endif()
