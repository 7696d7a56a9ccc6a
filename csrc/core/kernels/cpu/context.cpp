// What a context does where it keeps no count of its scratch memory.
#include "kernels/cpu/context.h"

namespace namegen::cpu {

Context::~Context() = default;

int64_t Context::room() const { return INT64_MAX; }

Context::Mark Context::mark() const { return {}; }

void Context::return_to(const Mark&) {}

}  // namespace namegen::cpu
