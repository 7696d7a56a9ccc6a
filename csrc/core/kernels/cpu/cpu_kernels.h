// The interface of the CPU kernels: one plain parameter struct per operator and direction, and the table of functions
// that is compiled once per instruction set. Arrays are contiguous and row-major. Each comment gives an array's shape
// and type; "compute" means float64 for float64 data and float32 for all other data.
#pragma once

#include <string>

#include "kernels/cpu/context.h"
#include "kernels/cpu/instruction_sets.h"
#include "kernels/types.h"

namespace namegen::cpu {

using namegen::EmbeddingConcatLinearShape;

// How embedding_concat_linear forms its products: per symbol and position (table), per example (plain), or whichever is
// cheaper.
enum class Algorithm : int { kByCost = 0, kTable = 1, kPlain = 2 };

// The most bytes that rows per symbol may take. The unfused layers hold, besides their result, the concatenated
// embeddings and, with an activation, one more output, of `element_bytes` each: rows per symbol may take as much. Small
// sizes may always take 1 MiB.
inline int64_t table_limit(const EmbeddingConcatLinearShape& shape, Activation activation, int64_t element_bytes) {
  const int64_t held = shape.block * shape.embed + (activation == Activation::kNone ? 0 : shape.hidden);
  const int64_t bytes = shape.batch * held * element_bytes, small = 1 << 20;
  return bytes > small ? bytes : small;
}

struct EmbeddingConcatLinearForward {
  EmbeddingConcatLinearShape shape;
  const int32_t* tokens;      // (N, T), each in [0, V)
  const void* embedding;      // (V, E) compute
  const void* linear_weight;  // (H, T*E) compute
  const void* linear_bias;    // (H) compute, or null
  void* output;               // (N, H) data
  int64_t output_stride;      // elements from one row of the output to the next
  Activation activation;
  Algorithm algorithm;
};

struct EmbeddingConcatLinearBackward {
  EmbeddingConcatLinearShape shape;
  const int32_t* tokens;      // (N, T), each in [0, V)
  const void* embedding;      // (V, E) compute
  const void* linear_weight;  // (H, T*E) compute
  const void* output;         // (N, H) data: y, read where the activation is tanh
  const void* grad_output;    // (N, H) data
  int64_t output_stride;      // elements from one row of output and grad_output to the next
  void* grad_embedding;       // (V, E) compute, or null where no gradient is wanted
  void* grad_linear_weight;   // (H, T*E) compute, or null
  void* grad_linear_bias;     // (H) compute, or null
  Activation activation;
  Algorithm algorithm;
  bool add_to_embedding = false;  // whether the gradient is added to what grad_embedding holds
};

// Rows are cut into at most 16 chunks. How many depends on the number of rows alone.
inline int64_t batch_norm_chunks(int64_t rows) { return rows < 512 ? 1 : rows < 16 * 256 ? rows / 256 : 16; }

// The most elements of scratch memory, in the compute dtype, that one channel takes.
inline int64_t batch_norm_scratch(int64_t rows) { return 4 * batch_norm_chunks(rows) + 3; }

struct BatchNormForward {
  int64_t rows;        // N, values a channel
  int64_t channels;    // C
  int64_t row_stride;  // elements from one row of input and output to the next
  const void* input;   // (N, C) data
  void* output;        // (N, C) data
  const void* weight;  // (C) compute, or null for 1
  const void* bias;    // (C) compute, or null for 0
  void* mean;          // (C) compute: the batch's, written when training, else read
  void* invstd;        // (C) compute: 1 / sqrt(biased variance + eps), written when training, else read
  void* running_mean;  // (C) compute, updated when training, or null
  void* running_var;   // (C) compute, updated when training, or null
  bool training;
  double momentum;
  double eps;
  Activation activation;
};

struct BatchNormBackward {
  int64_t rows;
  int64_t channels;
  int64_t row_stride;       // elements from one row of input, output and their gradients to the next
  const void* input;        // (N, C) data: x
  const void* output;       // (N, C) data: y, read where the activation is tanh
  const void* grad_output;  // (N, C) data
  const void* weight;       // (C) compute, or null for 1
  const void* mean;         // (C) compute: what the forward pass normalised with
  const void* invstd;       // (C) compute
  void* grad_input;         // (N, C) data; may be grad_output; null where no gradient is wanted
  void* grad_weight;        // (C) compute, or null
  void* grad_bias;          // (C) compute, or null
  bool training;            // whether mean and invstd depend on x
  Activation activation;
};

struct EmbeddingConcatLinearBatchNormForward {
  EmbeddingConcatLinearShape shape;
  const int32_t* tokens;      // (N, T), each in [0, V)
  const void* embedding;      // (V, E) data
  const void* linear_weight;  // (H, T*E) data
  const void* linear_bias;    // (H) data, or null
  void* output;               // (N, H) data
  const void* weight;         // (H) data, or null for 1
  const void* bias;           // (H) data, or null for 0
  void* mean;                 // (H) data: the batch's, written when training, else read
  void* invstd;               // (H) data: 1 / sqrt(biased variance + eps), written when training, else read
  void* running_mean;         // (H) data, updated when training, or null
  void* running_var;          // (H) data, updated when training, or null
  bool training;
  double momentum;
  double eps;
  Activation activation;
};

struct EmbeddingConcatLinearBatchNormBackward {
  EmbeddingConcatLinearShape shape;
  const int32_t* tokens;      // (N, T), each in [0, V)
  const void* embedding;      // (V, E) data
  const void* linear_weight;  // (H, T*E) data
  const void* linear_bias;    // (H) data, or null
  const void* output;         // (N, H) data: y, read where the activation is tanh
  const void* grad_output;    // (N, H) data
  const void* weight;         // (H) data, or null for 1
  const void* mean;           // (H) data: what the forward pass normalised with
  const void* invstd;         // (H) data
  void* grad_embedding;       // (V, E) data, or null where no gradient is wanted
  void* grad_linear_weight;   // (H, T*E) data, or null
  void* grad_linear_bias;     // (H) data, or null
  void* grad_weight;          // (H) data, or null
  void* grad_bias;            // (H) data, or null
  bool training;              // whether mean and invstd depend on the tokens and the weights
  Activation activation;
};

// Whether the kernels of embedding_concat_linear_batch_norm may be called: where symbols repeat, and their rows take no
// more memory than the unfused layers hold. It depends on sizes alone. Elsewhere the two operators it is made of are
// called.
bool takes_embedding_concat_linear_batch_norm(const EmbeddingConcatLinearShape& shape, int64_t element_bytes);

struct LinearForward {
  int64_t rows;          // N
  int64_t in_features;   // K
  int64_t out_features;  // H
  const void* input;     // (N, K) data
  const void* weight;    // (H, K) data
  const void* bias;      // (H) data, or null
  void* output;          // (N, H) data
};

struct LinearBackward {
  int64_t rows;
  int64_t in_features;
  int64_t out_features;
  const void* input;        // (N, K) data: read where grad_weight is wanted
  const void* weight;       // (H, K) data: read where grad_input is wanted
  const void* grad_output;  // (N, H) data
  void* grad_input;         // (N, K) data, or null where no gradient is wanted
  void* grad_weight;        // (H, K) data, or null
  void* grad_bias;          // (H) data, or null
};

struct Kernels {
  const char* isa;
  // Runs so many rounds of float32 multiply-adds. Returns the number of operations, where a multiplication and an
  // addition are two.
  int64_t (*multiply_adds)(int64_t rounds);
  void (*tanh[kDTypeCount])(int64_t count, const void* input, void* output);
  void (*embedding_concat_linear_forward[kDTypeCount])(const EmbeddingConcatLinearForward&, Context&);
  void (*embedding_concat_linear_backward[kDTypeCount])(const EmbeddingConcatLinearBackward&, Context&);
  void (*batch_norm_forward[kDTypeCount])(const BatchNormForward&, Context&);
  void (*batch_norm_backward[kDTypeCount])(const BatchNormBackward&, Context&);
  // For float32 and float64 alone.
  void (*embedding_concat_linear_batch_norm_forward[2])(const EmbeddingConcatLinearBatchNormForward&, Context&);
  void (*embedding_concat_linear_batch_norm_backward[2])(const EmbeddingConcatLinearBatchNormBackward&, Context&);
  void (*linear_forward[2])(const LinearForward&, Context&);
  void (*linear_backward[2])(const LinearBackward&, Context&);
  // x -> gelu(x) and its derivative, for float32 and float64 alone.
  void (*gelu[2])(int64_t count, const void* input, void* values, void* slopes);
};

// The functions of the instruction set in use, and those of a named one. They throw where isa_in_use and isa_number do.
const Kernels& kernels();
const Kernels& kernels_for(const std::string& isa);

}  // namespace namegen::cpu
