#include "kernels/cpu/dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(NAMEGEN_WITH_X86_ISAS)
#include <cpuid.h>
#endif

namespace namegen::cpu {

namespace baseline {
extern const Kernels kKernels;
}
#if defined(NAMEGEN_WITH_X86_ISAS)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

namespace {

#if defined(NAMEGEN_WITH_X86_ISAS)
// Which clang's __builtin_cpu_supports does not know.
bool cpu_has_f16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

struct Isa {
  std::string name;
  const Kernels* kernels;
  bool supported;
};

// From the narrowest to the widest.
const std::vector<Isa>& all_isas() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> list = {{"baseline", &baseline::kKernels, true}};
#if defined(NAMEGEN_WITH_X86_ISAS)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    list.push_back({"avx2", &avx2::kKernels, avx2});
    list.push_back({"avx512", &avx512::kKernels, avx512});
#endif
    return list;
  }();
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

const Kernels& chosen_at_start() {
  const char* wanted = std::getenv("NAMEGEN_CPU_ISA");
  if (wanted == nullptr || *wanted == '\0') return kernels_for(supported_isas().back());
  try {
    return kernels_for(wanted);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("NAMEGEN_CPU_ISA: " + std::string(error.what()));
  }
}

}  // namespace

std::vector<std::string> compiled_isas() { return names(false); }
std::vector<std::string> supported_isas() { return names(true); }

const Kernels& kernels_for(const std::string& isa) {
  for (const Isa& candidate : all_isas()) {
    if (candidate.name != isa) continue;
    if (candidate.supported) return *candidate.kernels;
    throw std::runtime_error("this CPU lacks the instruction set '" + isa + "'; it has " + joined(supported_isas()));
  }
  throw std::runtime_error("there is no instruction set '" + isa + "'; expected one of " + joined(compiled_isas()));
}

const Kernels& kernels() {
  static const Kernels& chosen = chosen_at_start();
  return chosen;
}

}  // namespace namegen::cpu
