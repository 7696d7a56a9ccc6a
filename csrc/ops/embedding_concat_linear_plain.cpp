// embedding_concat_linear by torch's own operators, the plain products: for CUDA devices where no table pays or fits,
// for what CPUs multiply in bfloat16, and where a kernel would take more memory than the unfused layers. Device and
// dtype are those of the embedding.
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/ParallelGuard.h>
#include <omp.h>

#include <algorithm>

#include "ops/embedding_concat_linear.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

// While it lives, torch's operators compute with what they are given, as kernels do: nothing is recorded or cast.
struct AsKernel {
  at::AutoDispatchBelowADInplaceOrView no_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

// While it lives, what this thread calls stays on it.
class OnThisThread {
 public:
  OnThisThread() { omp_set_num_threads(1); }
  ~OnThisThread() { omp_set_num_threads(threads_); }
  OnThisThread(const OnThisThread&) = delete;
  OnThisThread& operator=(const OnThisThread&) = delete;

 private:
  const int threads_ = omp_get_max_threads();
  const c10::ParallelGuard in_region_{true};
};

// a @ b, plus bias, with the same bits for any number of threads. torch's libraries cut deep sums by the number of
// threads (oneDNN in bfloat16, 4,096 deep: other bits from 3 threads on; none seen at 1,024), so four pieces of the
// output are computed, each by one thread. (In one piece 2 to 10% less time on one thread.)
Tensor product(const Tensor& a, const Tensor& b, const optional<Tensor>& bias = std::nullopt) {
  const bool shallow = a.scalar_type() == at::kBFloat16 && a.size(1) <= 1024;
  if (!a.is_cpu() || shallow) return bias.has_value() ? at::addmm(*bias, a, b) : at::mm(a, b);
  Tensor c = at::empty({a.size(0), b.size(1)}, a.options());
  const int dim = c.size(0) >= c.size(1) ? 0 : 1;
  const int64_t size = c.size(dim), piece = std::max<int64_t>((size + 255) / 256 * 64, 128);
  // Two tasks at least: with one, torch would stay outside of a parallel region, where its libraries start their own.
  at::parallel_for(0, std::max<int64_t>((size + piece - 1) / piece, 2), 1, [&](int64_t begin, int64_t end) {
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

// The sums of the columns, likewise.
Tensor sum_of_rows(const Tensor& d) {
  if (!d.is_cpu()) return d.sum(0);
  const OnThisThread on_this_thread;
  return d.sum(0);
}

// Tokens as torch's embedding takes them, (N*T).
Tensor flat_indices(const Tensor& tokens) {
  return (tokens.scalar_type() == at::kByte ? tokens.to(at::kLong) : tokens).reshape({tokens.numel()});
}

// The concatenated embeddings, (N, T*E).
Tensor concatenated(const EmbeddingConcatLinearShape& s, const Tensor& indices, const Tensor& embedding) {
  return at::embedding(embedding, indices).view({s.batch, s.block * s.embed});
}

}  // namespace

Tensor plain_forward(const EmbeddingConcatLinearShape& s, const Tensor& tokens, const Tensor& embedding,
                     const Tensor& linear, const optional<Tensor>& bias, Activation activation) {
  const AsKernel as_kernel;
  const Tensor x = concatenated(s, flat_indices(tokens), embedding);  // (N, T*E)
  Tensor z = product(x, linear.t(), bias);                            // (N, H)
  return activation == Activation::kTanh ? z.tanh_() : z;
}

Gradients plain_backward(const EmbeddingConcatLinearShape& s, const Tensor& dy, const Tensor& tokens,
                         const Tensor& embedding, const Tensor& linear, const Tensor& y,
                         std::array<bool, 3> output_mask) {
  const AsKernel as_kernel;
  const Tensor indices = flat_indices(tokens);
  Tensor d = (y.defined() ? at::tanh_backward(dy, y) : dy).reshape({s.batch, s.hidden});  // (N, H)
  // In the order of the stock layers' autograd, so that no more is held at once than there.
  Gradients result;
  Tensor rows;  // (N*T, E)
  if (output_mask[0]) rows = product(d, linear).view({s.batch * s.block, s.embed});
  if (output_mask[1]) std::get<1>(result) = product(d.t(), concatenated(s, indices, embedding));  // (H, T*E)
  if (output_mask[2]) std::get<2>(result) = sum_of_rows(d);                                       // (H)
  d.reset();
  if (output_mask[0]) {
    // Sums in the order of the examples (on CUDA sorted by symbol first): deterministic, as the kernels here are.
    std::get<0>(result) = rows.numel() == 0 ? at::zeros(embedding.sizes(), embedding.options())
                                            : at::embedding_dense_backward(rows, indices, s.vocab, -1, false);
  }
  return result;
}

}  // namespace namegen::ops::embedding_concat_linear
