// torch's own products, for where no kernel here is taken.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "ops/common.h"

namespace namegen::ops {

// While it lives, torch's operators compute with what they are given, as kernels do: nothing is recorded or cast.
struct AsKernel {
  at::AutoDispatchBelowADInplaceOrView no_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

// a @ b, plus bias, with the same bits for any number of threads. torch's libraries cut deep sums by the number of
// threads (oneDNN in bfloat16, 4,096 deep: other bits from 3 threads on; none seen at 1,024), so four pieces of the
// output are computed, each by one thread. (In one piece 0 to 12% less time on one thread, from a depth of 1,024 on.)
Tensor product(const Tensor& a, const Tensor& b, const optional<Tensor>& bias = std::nullopt);

// The sums of the columns, likewise.
Tensor sum_of_rows(const Tensor& d);

}  // namespace namegen::ops
