// How much memory the unfused layers of embedding_concat_linear take, which is the most that the operator may take.
#include <algorithm>

#include "ops/embedding_concat_linear.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

// In double, so that the sizes of empty tensors do not overflow: 2^62 rows of no columns, for example.
int64_t bytes(double elements, int64_t element_bytes) {
  return static_cast<int64_t>(std::min(elements * double(element_bytes), 0x1p62));
}

double concatenated_size(const EmbeddingConcatLinearShape& s) { return double(s.batch) * s.block * s.embed; }
double activated_size(const EmbeddingConcatLinearShape& s, Activation activation) {
  return activation == Activation::kNone ? 0 : double(s.batch) * s.hidden;
}

}  // namespace

int64_t forward_allowance(const EmbeddingConcatLinearShape& shape, Activation activation, int64_t element_bytes) {
  return bytes(std::max(concatenated_size(shape), activated_size(shape, activation)), element_bytes);
}

BackwardPeak backward_peak(const EmbeddingConcatLinearShape& shape, Activation activation,
                           std::array<bool, 3> output_mask, int64_t element_bytes) {
  const double features = double(shape.block) * shape.embed;
  const double embedding = output_mask[0] ? double(shape.vocab) * shape.embed : 0;
  const double linear = output_mask[1] ? shape.hidden * features : 0;
  const double bias = output_mask[2] ? double(shape.hidden) : 0;
  const double x = output_mask[1] ? concatenated_size(shape) : 0;   // kept by the forward pass
  const double dx = output_mask[0] ? concatenated_size(shape) : 0;  // until the embedding's gradient is there
  const double in_linear = x + activated_size(shape, activation) + dx, in_embedding = dx + embedding;
  return {bytes(std::max(in_linear, in_embedding) + linear + bias, element_bytes), bytes(linear, element_bytes),
          bytes(bias, element_bytes), bytes(embedding, element_bytes)};
}

}  // namespace namegen::ops::embedding_concat_linear
