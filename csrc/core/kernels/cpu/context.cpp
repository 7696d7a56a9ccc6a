// The functions of a context that keeps no count of its scratch memory, and the rule by which work is shared between
// threads.
#include "kernels/cpu/context.h"

#include <algorithm>

namespace namegen::cpu {

Context::~Context() = default;

int64_t Context::room() const { return INT64_MAX; }

Context::Mark Context::mark() const { return {}; }

void Context::return_to(const Mark&) {}

int64_t worthwhile_threads(double micros, int64_t there_are) {
  constexpr double kMicrosPerThread = 20;  // starting a parallel region costs a few microseconds
  return std::clamp<int64_t>(static_cast<int64_t>(std::min(micros / kMicrosPerThread, 1e9)), 1, there_are);
}

}  // namespace namegen::cpu
