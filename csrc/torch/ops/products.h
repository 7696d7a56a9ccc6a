// torch's own products, which are taken where no kernel is.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "ops/operator_support.h"

namespace namegen::ops {

// While it lives, torch's operators only compute, as kernels do: autograd records and autocast converts nothing.
struct AsKernel {
  at::AutoDispatchBelowADInplaceOrView no_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

// a @ b, plus bias, with the same bits for any number of threads. torch's libraries may cut deep sums by the number of
// threads, so the output is computed in four pieces, each by one thread. oneDNN was found to give other bits from 3
// threads on (bfloat16, 4,096 deep), but not at 1,024 deep. Measured: up to 12% less time with one piece than with four
// (1 thread, 1,024 deep or more).
Tensor product(const Tensor& a, const Tensor& b, const optional<Tensor>& bias = std::nullopt);

// The sums of the columns, also with the same bits for any number of threads.
Tensor sum_of_rows(const Tensor& d);

}  // namespace namegen::ops
