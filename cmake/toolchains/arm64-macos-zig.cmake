# Cross-compiling for macOS on Apple silicon by zig's clang, which brings macOS' headers: `pip install ziglang` for the
# Python that NAMEGEN_ZIG_PYTHON names (default: python3). Nothing that it builds can run here.
#
#     cmake -S . -B build-macos -G Ninja --toolchain cmake/toolchains/arm64-macos-zig.cmake
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
if(NOT DEFINED NAMEGEN_ZIG_PYTHON)
  set(NAMEGEN_ZIG_PYTHON python3)
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES NAMEGEN_ZIG_PYTHON)
set(CMAKE_CXX_COMPILER ${NAMEGEN_ZIG_PYTHON} -m ziglang c++ -target aarch64-macos.11.0)
# CMake's own trials are not linked: zig would compile macOS' C++ library for them, for minutes.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
