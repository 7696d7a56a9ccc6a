# The instruction sets that the CPU's arithmetic is compiled for, from the narrowest to the widest. This is the only list
# of them: the compiler's flags, the check of the CPU and the tables of functions all follow from it. One more
# instruction set is one more line. Sources that are compiled once per set stand in the folders csrc/core/**/cpu.
#
#   namegen_instruction_set(NAME [ON PROCESSORS | NOT_ON PROCESSORS] [FEATURES FEATURE...] [OPTIONS OPTION...])
#
# ON, NOT_ON: a regular expression; on other processors, or on these, the set is not compiled. Of those that are left the
# first is always compiled, the others with NAMEGEN_WIDE_ISAS. FEATURES: each is a flag, -mFEATURE, of the
# compiler, and what the CPU must have for the set to be used (csrc/core/kernels/cpu/instruction_sets.cpp knows how to
# ask the CPU for it). OPTIONS: further flags.

set(NAMEGEN_INSTRUCTION_SETS "")
set(namegen_instruction_set_lines "")

macro(namegen_instruction_set name)
  cmake_parse_arguments(namegen_isa "" "ON;NOT_ON" "FEATURES;OPTIONS" ${ARGN})
  if((NAMEGEN_WIDE_ISAS OR NOT NAMEGEN_INSTRUCTION_SETS)
     AND (NOT namegen_isa_ON OR namegen_processor MATCHES "${namegen_isa_ON}")
     AND NOT (namegen_isa_NOT_ON AND namegen_processor MATCHES "${namegen_isa_NOT_ON}"))
    list(APPEND NAMEGEN_INSTRUCTION_SETS ${name})
    list(TRANSFORM namegen_isa_FEATURES PREPEND "-m" OUTPUT_VARIABLE NAMEGEN_FLAGS_${name})
    list(APPEND NAMEGEN_FLAGS_${name} ${namegen_isa_OPTIONS})
    string(REPLACE ";" " " namegen_isa_features "${namegen_isa_FEATURES}")
    string(APPEND namegen_instruction_set_lines "NAMEGEN_INSTRUCTION_SET(${name}, \"${namegen_isa_features}\")\n")
  endif()
endmacro()

set(namegen_processor ${CMAKE_SYSTEM_PROCESSOR})
if(CMAKE_OSX_ARCHITECTURES)
  set(namegen_processor ${CMAKE_OSX_ARCHITECTURES})
  list(LENGTH namegen_processor namegen_processor_count)
  if(namegen_processor_count GREATER 1)
    message(FATAL_ERROR "CMAKE_OSX_ARCHITECTURES is ${CMAKE_OSX_ARCHITECTURES}: build for one architecture at a time, "
      "since each has instruction sets of its own.")
  endif()
endif()
set(namegen_x86_64 "^(x86_64|AMD64|amd64)$")
set(namegen_aarch64 "^(aarch64|arm64|ARM64)$")
# Every 64-bit Arm CPU has NEON, so there it is the only set, and the compiler needs no flag for it. SVE is none of the
# list: the CPUs that have it with vectors longer than NEON's are few (Neoverse V1, A64FX), and Apple's have none.
namegen_instruction_set(neon ON ${namegen_aarch64})
namegen_instruction_set(baseline NOT_ON ${namegen_aarch64})
namegen_instruction_set(avx2 ON ${namegen_x86_64} FEATURES avx2 fma f16c)
namegen_instruction_set(avx512 ON ${namegen_x86_64} FEATURES avx2 fma f16c avx512f avx512bw avx512dq avx512vl
  OPTIONS -mprefer-vector-width=512)

list(LENGTH NAMEGEN_INSTRUCTION_SETS namegen_instruction_set_count)
if(namegen_instruction_set_count GREATER 1)
  # Where there are wider sets, the baseline is for x86-64 CPUs from before 2013: -O2 compiles in four fifths of the time.
  list(APPEND NAMEGEN_FLAGS_baseline $<$<CONFIG:Release>:-O2>)
endif()

# The same list for C++, as lines that a file expands by a macro of its own.
set(NAMEGEN_GENERATED_INCLUDES ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(CONFIGURE OUTPUT ${NAMEGEN_GENERATED_INCLUDES}/kernels/cpu/instruction_sets.inc @ONLY CONTENT
"// Written by cmake/InstructionSets.cmake: NAMEGEN_INSTRUCTION_SET(name, features), from the narrowest to the widest.
@namegen_instruction_set_lines@#undef NAMEGEN_INSTRUCTION_SET
")

set(NAMEGEN_ARITHMETIC_FLAGS
  -ffp-contract=fast  # a * b + c in one instruction where there is one
  -fno-math-errno -Wall -Wextra
  -Wno-psabi  # vectors never cross the boundary of a translation unit
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> -Wno-uninitialized)  # false alarms in gcc 12's AVX-512 header
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  list(APPEND NAMEGEN_ARITHMETIC_FLAGS -O3)
endif()

# Adds the sources to a library, each compiled once per instruction set. The objects of a set are the target
# LIBRARY_SET, e.g. namegen_cpu_kernels_avx2.
function(namegen_add_arithmetic library)
  foreach(isa ${NAMEGEN_INSTRUCTION_SETS})
    add_library(${library}_${isa} OBJECT ${ARGN})
    set_target_properties(${library}_${isa} PROPERTIES UNITY_BUILD ON)
    target_include_directories(${library}_${isa} PRIVATE csrc/core)
    target_compile_definitions(${library}_${isa} PRIVATE NAMEGEN_ISA=${isa})
    target_compile_options(${library}_${isa} PRIVATE ${NAMEGEN_ARITHMETIC_FLAGS} ${NAMEGEN_FLAGS_${isa}})
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${library}_${isa}>)
  endforeach()
endfunction()
