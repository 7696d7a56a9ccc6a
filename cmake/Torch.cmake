# What the module _C needs of torch, asked of the Python that is built for. find_package(Torch) is not used: for a CUDA
# build of torch it wants a whole CUDA toolkit, which these sources do not need. NAMEGEN_TORCH_FOLDER: the folder that holds
# the package torch, where the build has found it already.
set(namegen_folder "")
if(NAMEGEN_TORCH_FOLDER)
  set(namegen_folder --in ${NAMEGEN_TORCH_FOLDER})
endif()
execute_process(
  COMMAND ${Python_EXECUTABLE} ${CMAKE_SOURCE_DIR}/python/build_support/find_torch.py --cmake ${namegen_folder}
  OUTPUT_VARIABLE namegen_found RESULT_VARIABLE namegen_status ERROR_VARIABLE namegen_error)
if(NOT namegen_status EQUAL 0)
  message(FATAL_ERROR "${namegen_error}")
endif()
file(WRITE ${CMAKE_BINARY_DIR}/found_torch.cmake "${namegen_found}")
include(${CMAKE_BINARY_DIR}/found_torch.cmake)
message(STATUS "torch ${NAMEGEN_TORCH_VERSION} in ${NAMEGEN_TORCH_DIR}")

add_library(namegen_torch INTERFACE)
target_include_directories(namegen_torch SYSTEM INTERFACE ${NAMEGEN_TORCH_INCLUDE_DIRS})
target_link_directories(namegen_torch INTERFACE ${NAMEGEN_TORCH_DIR}/lib)
target_link_libraries(namegen_torch INTERFACE torch_python torch torch_cpu c10)
