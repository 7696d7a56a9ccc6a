#include "kernels/cpu/instruction_sets.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace namegen::cpu {
namespace {

// Whether this CPU has a feature, by the name that the compiler's flag -mFEATURE has for it.
bool cpu_has(const std::string& feature) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (feature == "avx2") return __builtin_cpu_supports("avx2");
  if (feature == "fma") return __builtin_cpu_supports("fma");
  if (feature == "avx512f") return __builtin_cpu_supports("avx512f");
  if (feature == "avx512bw") return __builtin_cpu_supports("avx512bw");
  if (feature == "avx512dq") return __builtin_cpu_supports("avx512dq");
  if (feature == "avx512vl") return __builtin_cpu_supports("avx512vl");
  if (feature == "f16c") {  // clang's __builtin_cpu_supports does not know it
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  }
#endif
  throw std::logic_error("instruction_sets.cpp cannot ask the CPU for '" + feature + "'");
}

// `features` are names with spaces between them.
bool cpu_has_all(const std::string& features) {
  std::istringstream names(features);
  for (std::string feature; names >> feature;) {
    if (!cpu_has(feature)) return false;
  }
  return true;
}

struct Isa {
  std::string name;
  bool supported;
};

const std::vector<Isa>& all_isas() {
  static const std::vector<Isa> isas = {
#define NAMEGEN_INSTRUCTION_SET(name, features) {#name, cpu_has_all(features)},
#include "kernels/cpu/instruction_sets.inc"
  };
  return isas;
}

std::vector<std::string> names(bool only_supported) {
  std::vector<std::string> result;
  for (const Isa& isa : all_isas()) {
    if (isa.supported || !only_supported) result.push_back(isa.name);
  }
  return result;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

int chosen_at_start() {
  const char* wanted = std::getenv("NAMEGEN_CPU_ISA");
  if (wanted == nullptr || *wanted == '\0') return isa_number(supported_isas().back());
  try {
    return isa_number(wanted);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("NAMEGEN_CPU_ISA: " + std::string(error.what()));
  }
}

}  // namespace

std::vector<std::string> compiled_isas() { return names(false); }
std::vector<std::string> supported_isas() { return names(true); }

int isa_number(const std::string& isa) {
  const std::vector<Isa>& isas = all_isas();
  for (size_t i = 0; i < isas.size(); ++i) {
    if (isas[i].name != isa) continue;
    if (isas[i].supported) return static_cast<int>(i);
    throw std::runtime_error("this CPU lacks the instruction set '" + isa + "'; it has " + joined(supported_isas()));
  }
  throw std::runtime_error("there is no instruction set '" + isa + "'; expected one of " + joined(compiled_isas()));
}

int isa_in_use() {
  static const int chosen = chosen_at_start();
  return chosen;
}

}  // namespace namegen::cpu
