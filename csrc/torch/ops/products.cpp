#include "ops/products.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/util/ParallelGuard.h>

#include <algorithm>

#include "threads/torch_threads.h"

namespace namegen::ops {
namespace {

// While it lives, torch's operators that this thread calls stay on this thread.
class OnThisThread {
 public:
  OnThisThread() { set_threads(1); }
  ~OnThisThread() { set_threads(threads_); }
  OnThisThread(const OnThisThread&) = delete;
  OnThisThread& operator=(const OnThisThread&) = delete;

 private:
  static int get_threads() {
    const threads::TorchThreads& torch = *threads::torch_threads();
    return torch.omp_get_max_threads == nullptr ? 1 : torch.omp_get_max_threads();
  }
  static void set_threads(int number) {
    const threads::TorchThreads& torch = *threads::torch_threads();
    if (torch.omp_set_num_threads != nullptr) torch.omp_set_num_threads(number);
  }

  const int threads_ = get_threads();
  const c10::ParallelGuard in_region_{true};
};

}  // namespace

Tensor product(const Tensor& a, const Tensor& b, const optional<Tensor>& bias) {
  const bool shallow = a.scalar_type() == at::kBFloat16 && a.size(1) <= 1024;
  if (!a.is_cpu() || shallow) return bias.has_value() ? at::addmm(*bias, a, b) : at::mm(a, b);
  Tensor c = at::empty({a.size(0), b.size(1)}, a.options());
  const int dim = c.size(0) >= c.size(1) ? 0 : 1;
  const int64_t size = c.size(dim), piece = std::max<int64_t>((size + 255) / 256 * 64, 128);
  // At least two tasks: with one, torch would not enter a parallel region, and its libraries would start their own.
  const int64_t tasks = std::max<int64_t>((size + piece - 1) / piece, 2);
  threads::parallel_ranges(*threads::torch_threads(), 0, tasks, 1, [&](int64_t begin, int64_t end) {
    const AsKernel as_kernel;
    const OnThisThread on_this_thread;
    for (int64_t first = begin * piece; first < std::min(end * piece, size); first += piece) {
      const int64_t count = std::min(piece, size - first);
      Tensor part = c.narrow(dim, first, count);
      const Tensor a_part = dim == 0 ? a.narrow(0, first, count) : a;
      const Tensor b_part = dim == 1 ? b.narrow(1, first, count) : b;
      if (bias.has_value()) {
        at::addmm_out(part, dim == 1 ? bias->narrow(0, first, count) : *bias, a_part, b_part);
      } else {
        at::mm_out(part, a_part, b_part);
      }
    }
  });
  return c;
}

Tensor sum_of_rows(const Tensor& d) {
  if (!d.is_cpu()) return d.sum(0);
  const OnThisThread on_this_thread;
  return d.sum(0);
}

}  // namespace namegen::ops
