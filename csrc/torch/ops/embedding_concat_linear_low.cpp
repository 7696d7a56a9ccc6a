// embedding_concat_linear in bfloat16 and float16 on the CPU. Either torch's products compute it, or kernels that
// compute in float32 from copies of the weights. So that the copies stay small, a kernel gets only the rows of the
// embedding that occur, and a wide linear weight in slices of its rows. Measured: up to 141 times the memory of the
// stock layers with copies of all weights (32 examples, V=50,000, E=64, block 8, H=512).
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstddef>

#include "kernels/cpu/cpu_kernels.h"
#include "ops/embedding_concat_linear.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

using Shape = EmbeddingConcatLinearShape;

// Whether torch's plain products are taken in place of a kernel. Some CPUs multiply bfloat16 faster than float32, which
// the kernels compute in. Where a table of rows per symbol can be used, there are so few products that it does not
// matter. Measured, as the speed of forward and backward over that of the stock layers:
//   0.68 by a kernel, 1.05 by torch (batch 32, V=5,000, E=64, block 8, H=512);
//   0.52 by a kernel, 1.04 by torch (batch 256, the same sizes);
//   1.48 by a kernel, 1.03 by torch (batch 256, V=5,000, E=10, block 3, H=200).
bool by_torch(const Shape& s, Activation activation, at::ScalarType type) {
  if (type != at::kBFloat16 || !multiplies_bfloat16()) return false;
  const double weights = double(s.block) * s.embed * s.hidden;  // a kernel converts all of them
  if (weights < 1 << 16 && weights * s.batch < 4e6) return false;
  const double symbols = double(std::min(s.vocab, s.batch));  // the most that can stand at a position
  const double table_bytes = s.block * symbols * s.hidden * sizeof(float);
  const bool table_fits = table_bytes <= cpu::table_limit(s, activation, c10::elementSize(type));
  return !table_fits || symbols > 0.5 * s.batch;
}

// Memory that is held for the whole call. Only small tensors are put into the thread's arena, so that it keeps room for
// the kernels.
Tensor lasting(at::IntArrayRef sizes, at::ScalarType type, TorchContext& context) {
  constexpr int64_t kSmall = 8192;
  return c10::multiply_integers(sizes) <= kSmall ? context.scratch_tensor(sizes, type)
                                                 : context.allocated_tensor(sizes, type);
}

// The rows of the embedding that occur in the tokens, and each token's number among them.
struct Rows {
  const int32_t* tokens;
  Tensor symbols;  // (rows): the row of embedding_weight that each of them is; undefined where they are all, in order
  int64_t count;

  // The rows themselves in float32, (rows, E).
  Tensor of(const Tensor& embedding_weight, TorchContext& context) const {
    const Tensor rows = lasting({count, embedding_weight.size(1)}, at::kFloat, context);
    const TorchContext::Scope scope(context);
    if (!symbols.defined()) return rows.copy_(embedding_weight);
    Tensor selected = lasting(rows.sizes(), embedding_weight.scalar_type(), context);
    return rows.copy_(at::index_select_out(selected, embedding_weight, 0, symbols));
  }
};

Rows rows_that_occur(const Shape& shape, const Tensor& tokens, TorchContext& context) {
  const int64_t count = tokens.numel();
  int32_t* numbers = checked_tokens(tokens, shape.vocab, context);
  if (count >= 4 * shape.vocab) return {numbers, Tensor(), shape.vocab};
  const Tensor symbols = lasting({std::min(count, shape.vocab)}, at::kLong, context);
  const TorchContext::Scope scope(context);
  auto* occurring = static_cast<int32_t*>(context.scratch(std::max<int64_t>(count, 1) * sizeof(int32_t)));
  std::copy(numbers, numbers + count, occurring);
  std::sort(occurring, occurring + count);
  int32_t* const end = std::unique(occurring, occurring + count);
  for (int64_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<int32_t>(std::lower_bound(occurring, end, numbers[i]) - occurring);
  }
  std::copy(occurring, end, symbols.mutable_data_ptr<int64_t>());
  return {numbers, symbols.narrow(0, 0, end - occurring), end - occurring};
}

// How many rows of the linear weight a slice has: so many that its copies, at most three, fit into the thread's arena.
// A deep layer's slice has at least as many rows as a vector has lanes. From 512 examples on it has at least as many as
// a panel has columns, because the copies are small beside that many inputs.
int64_t slice_width(const Shape& s) {
  constexpr int64_t kBytes = 256 << 10;
  const int64_t multiple = s.batch >= 512 ? 64 : 16;
  const int64_t row_bytes = std::max<int64_t>(s.block * s.embed, 1) * int64_t(sizeof(float));
  return std::max(kBytes / row_bytes / multiple, int64_t{1}) * multiple;
}

// Calls body(first, count) for one slice after another: rows of the linear weight, and so columns of the output.
template <class Body>
void for_slices(const Shape& s, TorchContext& context, const Body& body) {
  for (int64_t first = 0, width = slice_width(s); first < s.hidden; first += width) {
    const TorchContext::Scope scope(context);
    body(first, std::min(width, s.hidden - first));
  }
}

// A copy of `count` rows of a tensor in float32, in scratch memory.
Tensor slice_in_float32(const Tensor& tensor, int64_t first, int64_t count, TorchContext& context) {
  const Tensor slice = tensor.narrow(0, first, count);
  return context.scratch_tensor(slice.sizes(), at::kFloat).copy_(slice);
}

// The address of column `first` in the first row of a contiguous (..., H) tensor; null where it is undefined.
const void* from_column(const Tensor& tensor, int64_t first) {
  if (!tensor.defined()) return nullptr;
  return static_cast<const std::byte*>(tensor.const_data_ptr()) + first * int64_t(tensor.element_size());
}

Shape shape_of_slice(const Shape& s, const Rows& rows, int64_t count) {
  return {s.batch, s.block, rows.count, s.embed, count};
}

}  // namespace

Tensor low_forward(const Shape& shape, const Tensor& tokens, const Tensor& embedding_weight,
                   const Tensor& linear_weight, const optional<Tensor>& linear_bias, Activation activation) {
  const auto options = embedding_weight.options();
  const auto type = embedding_weight.scalar_type();
  if (by_torch(shape, activation, type)) {
    check_range(tokens, shape.vocab);
    return plain_forward(shape, tokens, embedding_weight, linear_weight, parameter(linear_bias, type), activation);
  }
  TorchContext context(forward_allowance(shape, activation, embedding_weight.element_size()));
  const Rows rows = rows_that_occur(shape, tokens, context);
  Tensor output = empty_output({shape.batch, shape.hidden}, options);
  if (output.numel() == 0) return output;  // else 2^40 columns of no rows would go through as many slices
  const Tensor embedding = rows.of(embedding_weight, context);
  for_slices(shape, context, [&](int64_t first, int64_t count) {
    const Tensor linear = slice_in_float32(linear_weight, first, count, context);  // (count, T*E)
    Tensor bias;                                                                   // (count)
    if (given(linear_bias)) bias = slice_in_float32(*linear_bias, first, count, context);
    const cpu::EmbeddingConcatLinearForward params{shape_of_slice(shape, rows, count),
                                                   rows.tokens,
                                                   embedding.const_data_ptr(),
                                                   linear.const_data_ptr(),
                                                   bias.defined() ? bias.const_data_ptr() : nullptr,
                                                   const_cast<void*>(from_column(output, first)),
                                                   shape.hidden,
                                                   activation,
                                                   cpu::Algorithm::kByCost};
    const int index = static_cast<int>(data_type(type, "embedding_weight"));
    cpu::kernels().embedding_concat_linear_forward[index](params, context);
  });
  return output;
}

namespace {

// The gradients of the embedding's rows that occur, of the linear weight and of the bias, each where it is wanted.
Gradients backward_by_slices(const Shape& shape, const Tensor& dy, const Rows& rows, const Tensor& embedding_weight,
                             const Tensor& linear_weight, const Tensor& y, Activation activation,
                             std::array<bool, 3> output_mask, TorchContext& context) {
  const auto type = embedding_weight.scalar_type();
  const auto options = embedding_weight.options();
  Tensor grad_rows, grad_linear, grad_bias;
  if (output_mask[0]) grad_rows = at::empty({rows.count, shape.embed}, options);  // (rows, E)
  if (output_mask[1]) grad_linear = at::empty(linear_weight.sizes(), options);    // (H, T*E)
  if (output_mask[2]) grad_bias = at::empty({shape.hidden}, options);             // (H)
  // Computes the gradient of the embedding, or those of the linear layer, or all of them, one slice after another.
  const auto add_slices = [&](bool of_embedding, bool of_linear) {
    const TorchContext::Scope scope(context);
    Tensor embedding, sums;  // (rows, E)
    if (of_linear && output_mask[1]) embedding = rows.of(embedding_weight, context);
    if (of_embedding) sums = lasting({rows.count, shape.embed}, at::kFloat, context);
    for_slices(shape, context, [&](int64_t first, int64_t count) {
      Tensor linear, linear_part, bias_part;
      if (of_embedding) linear = slice_in_float32(linear_weight, first, count, context);  // (count, T*E)
      if (of_linear && output_mask[1]) {
        linear_part = context.scratch_tensor({count, shape.block * shape.embed}, at::kFloat);
      }
      if (of_linear && output_mask[2]) bias_part = context.scratch_tensor({count}, at::kFloat);
      const cpu::EmbeddingConcatLinearBackward params{shape_of_slice(shape, rows, count),
                                                      rows.tokens,
                                                      data_or_null(embedding),
                                                      data_or_null(linear),
                                                      from_column(y, first),
                                                      from_column(dy, first),
                                                      shape.hidden,
                                                      mutable_or_null(sums),
                                                      mutable_or_null(linear_part),
                                                      mutable_or_null(bias_part),
                                                      activation,
                                                      cpu::Algorithm::kByCost,
                                                      /*add_to_embedding=*/first > 0};
      const int index = static_cast<int>(data_type(type, "embedding_weight"));
      cpu::kernels().embedding_concat_linear_backward[index](params, context);
      if (linear_part.defined()) grad_linear.narrow(0, first, count).copy_(linear_part);
      if (bias_part.defined()) grad_bias.narrow(0, first, count).copy_(bias_part);
    });
    if (of_embedding) grad_rows.copy_(sums);
  };
  if (slice_width(shape) >= shape.hidden || 4 * rows.count <= shape.batch * shape.block) {
    add_slices(output_mask[0], true);
  } else {  // one after the other, so that the embedding's rows are free again before as many sums are made
    if (output_mask[1] || output_mask[2]) add_slices(false, true);
    if (output_mask[0]) add_slices(true, false);
  }
  return {grad_rows, grad_linear, grad_bias};
}

}  // namespace

Gradients low_backward(const Shape& shape, const Tensor& grad_output, const Tensor& tokens,
                       const Tensor& embedding_weight, const Tensor& linear_weight, const Tensor& output,
                       Activation activation, std::array<bool, 3> output_mask) {
  const auto type = embedding_weight.scalar_type();
  const auto options = embedding_weight.options();
  if (by_torch(shape, activation, type)) {
    check_range(tokens, shape.vocab);
    return plain_backward(shape, grad_output, tokens, embedding_weight, linear_weight, output, output_mask);
  }
  const int64_t element = embedding_weight.element_size();
  const BackwardPeak stock = backward_peak(shape, activation, output_mask, element);
  const int64_t most_rows = output_mask[0] ? std::min(tokens.numel(), shape.vocab) * shape.embed * element : 0;
  const int64_t allowed = stock.peak - stock.linear - stock.bias - most_rows;
  TorchContext context(allowed);
  const Rows rows = rows_that_occur(shape, tokens, context);
  if (grad_output.numel() == 0) {  // else 2^40 columns of no rows would go through as many slices
    const auto zeros = [&](bool wanted, at::IntArrayRef sizes) {
      return wanted ? at::zeros(sizes, options) : Tensor();
    };
    return {zeros(output_mask[0], embedding_weight.sizes()), zeros(output_mask[1], linear_weight.sizes()),
            zeros(output_mask[2], {shape.hidden})};
  }
  const Tensor dy = contiguous_in(grad_output, type, context);
  const Tensor y = output.defined() ? contiguous_in(output, type, context) : Tensor();
  // There must be room for the embedding's gradient beside the rows' gradients and the symbols.
  if (rows.symbols.defined() && stock.embedding > allowed - context.allocated()) throw TorchContext::OutOfRoom();
  auto [grad_rows, grad_linear, grad_bias] =
      backward_by_slices(shape, dy, rows, embedding_weight, linear_weight, y, activation, output_mask, context);
  if (!output_mask[0] || !rows.symbols.defined()) return {grad_rows, grad_linear, grad_bias};
  Tensor grad_embedding = at::zeros(embedding_weight.sizes(), options);  // (V, E)
  grad_embedding.index_copy_(0, rows.symbols, grad_rows);
  return {grad_embedding, grad_linear, grad_bias};
}

}  // namespace namegen::ops::embedding_concat_linear
