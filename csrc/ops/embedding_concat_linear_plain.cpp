// embedding_concat_linear by torch's own operators, the plain products: for CUDA devices where no table pays or fits,
// and for what CPUs multiply in bfloat16. Device and dtype are those of the embedding.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "ops/embedding_concat_linear.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

// While it lives, torch's operators compute with what they are given, as kernels do: nothing is recorded or cast.
struct AsKernel {
  at::AutoDispatchBelowADInplaceOrView no_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

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
  const Tensor x = concatenated(s, flat_indices(tokens), embedding);                      // (N, T*E)
  Tensor z = bias.has_value() ? at::addmm(*bias, x, linear.t()) : at::mm(x, linear.t());  // (N, H)
  return activation == Activation::kTanh ? z.tanh_() : z;
}

Gradients plain_backward(const EmbeddingConcatLinearShape& s, const Tensor& dy, const Tensor& tokens,
                         const Tensor& embedding, const Tensor& linear, const Tensor& y,
                         std::array<bool, 3> output_mask) {
  const AsKernel as_kernel;
  const Tensor indices = flat_indices(tokens);
  Tensor d = (y.defined() ? at::tanh_backward(dy, y) : dy).reshape({s.batch, s.hidden});  // (N, H)
  Gradients result;
  if (output_mask[1]) std::get<1>(result) = d.t().mm(concatenated(s, indices, embedding));  // (H, T*E)
  if (output_mask[2]) std::get<2>(result) = d.sum(0);                                       // (H)
  if (output_mask[0]) {
    const Tensor rows = d.mm(linear).view({s.batch * s.block, s.embed});  // (N*T, E)
    d.reset();  // last and without it: no more memory than the unfused layers take
    // Sums in the order of the examples (on CUDA sorted by symbol first): deterministic, as the kernels here are.
    std::get<0>(result) = rows.numel() == 0 ? at::zeros(embedding.sizes(), embedding.options())
                                            : at::embedding_dense_backward(rows, indices, s.vocab, -1, false);
  }
  return result;
}

}  // namespace namegen::ops::embedding_concat_linear
