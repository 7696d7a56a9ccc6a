// Which instruction sets the arithmetic was compiled for, which of them the CPU has, and which one is used.
//
// The list stands in cmake/InstructionSets.cmake. What is compiled once per instruction set stands in a namespace of
// its name, such as namegen::cpu::avx2. A table with an entry for each of them is made by defining the macro
// NAMEGEN_INSTRUCTION_SET(name, features) and including kernels/cpu/instruction_sets.inc, which CMake writes; it is
// indexed by the numbers below (see cpu_kernels.cpp).
#pragma once

#include <string>
#include <vector>

namespace namegen::cpu {

// The compiled instruction sets, from the narrowest to the widest: "baseline", "avx2", "avx512", or on 64-bit Arm
// "neon".
std::vector<std::string> compiled_isas();
// Those of them that this CPU has.
std::vector<std::string> supported_isas();
// The number, in the list of the compiled ones, of the instruction set with this name. Throws std::runtime_error,
// naming it, where it was not compiled or the CPU lacks it.
int isa_number(const std::string& isa);
// The number of the instruction set in use: that of the environment's NAMEGEN_CPU_ISA where it is set, else the widest
// that the CPU has. It is chosen once, at the first call. Throws std::runtime_error where the environment asks for what
// cannot be had.
int isa_in_use();

}  // namespace namegen::cpu
