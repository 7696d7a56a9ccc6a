// Which instruction sets were compiled, which the CPU has, and which one is used.
#pragma once

#include <string>
#include <vector>

#include "kernels/cpu/kernels.h"

namespace namegen::cpu {

// The compiled instruction sets, from the narrowest to the widest: "baseline", "avx2", "avx512".
std::vector<std::string> compiled_isas();
// Those of them that this CPU has.
std::vector<std::string> supported_isas();
// The functions of one of them. Throws std::runtime_error, naming it, where it was not compiled or the CPU lacks it.
const Kernels& kernels_for(const std::string& isa);
// The functions in use: those of the environment's NAMEGEN_CPU_ISA where it is set, else the widest. Chosen once, at
// the first call. Throws std::runtime_error where the environment asks for what cannot be had.
const Kernels& kernels();

}  // namespace namegen::cpu
