// embedding_concat_linear by plain products of torch's own operators. They are taken on CUDA devices where no table
// pays or fits, on CPUs that multiply bfloat16, and where a kernel would take more memory than the unfused layers.
// Device and dtype are those of the embedding.
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>

#include "ops/embedding_concat_linear.h"
#include "ops/products.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

// The tokens in a dtype that torch's embedding takes, (N*T).
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
  // The order is that of the stock layers' autograd, so that no more memory is held at a time than there.
  Gradients result;
  Tensor rows;  // (N*T, E)
  if (output_mask[0]) rows = product(d, linear).view({s.batch * s.block, s.embed});
  if (output_mask[1]) std::get<1>(result) = product(d.t(), concatenated(s, indices, embedding));  // (H, T*E)
  if (output_mask[2]) std::get<2>(result) = sum_of_rows(d);                                       // (H)
  d.reset();
  if (output_mask[0]) {
    // The sums are formed in the order of the examples, on CUDA sorted by symbol first. So they are deterministic.
    std::get<0>(result) = rows.numel() == 0 ? at::zeros(embedding.sizes(), embedding.options())
                                            : at::embedding_dense_backward(rows, indices, s.vocab, -1, false);
  }
  return result;
}

}  // namespace namegen::ops::embedding_concat_linear
