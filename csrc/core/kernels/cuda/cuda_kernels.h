// The interface of the CUDA kernels, which know nothing of torch. Each operator and direction has a plain parameter
// struct, a plan that says how a call is divided and how much scratch memory it needs, and a launcher that takes both
// and a stream.
//
// Arrays are contiguous, row-major device memory. Each comment gives an array's shape and type; "compute" means float64
// for float64 data and float32 for all other data. A launcher only enqueues. It never waits for the device nor reads
// its memory, so calls can be captured in a CUDA graph. The same arguments on the same kind of device give the same
// bits.
#pragma once

#include "kernels/cuda/runtime.h"
#include "kernels/types.h"

namespace namegen::cuda {

// What a plan must know of the device.
struct Device {
  int multiprocessors;
  int shared_bytes;  // that one block can have when it asks for it (cudaDevAttrMaxSharedMemoryPerBlockOptin), >= 48 KiB
};

// ---- embedding_concat_linear ----------------------------------------------------------------------------------------

struct EmbeddingConcatLinearForward {
  EmbeddingConcatLinearShape shape;
  const void* tokens;  // (N, T); a token outside [0, V) ends the kernel with a device-side assertion
  TokenType token_type;
  const void* embedding;      // (V, E) data
  const void* linear_weight;  // (H, T*E) data
  const void* linear_bias;    // (H) data, or null
  void* output;               // (N, H) data
  Activation activation;
};

struct EmbeddingConcatLinearBackward {
  EmbeddingConcatLinearShape shape;
  const void* tokens;  // (N, T), as above
  TokenType token_type;
  const void* embedding;      // (V, E) data
  const void* linear_weight;  // (H, T*E) data
  const void* output;         // (N, H) data: y, read where the activation is tanh
  const void* grad_output;    // (N, H) data
  void* grad_embedding;       // (V, E) data, or null where no gradient is wanted
  void* grad_linear_weight;   // (H, T*E) data, or null
  void* grad_linear_bias;     // (H) data, or null
  Activation activation;
};

// By table: a token takes one of V values, so position t adds one of V rows, P[t, s] = C[s] @ W_t^T. The rows stand in
// shared memory, where each block has a slab of columns, or in scratch memory, which the L2 cache holds.
enum class Table : int { kNone = 0, kShared = 1, kScratch = 2 };

struct EmbeddingConcatLinearForwardPlan {
  Table table;         // kNone: no table pays or fits, and the caller forms the plain product
  int width;           // values that a thread loads and stores at a time
  int columns;         // of a slab
  int slabs;           // the slabs that make up H
  int chunks;          // of examples; blocks work on them at the same time
  int threads;         // of a block
  int tile_positions;  // the weights of so many positions are in shared memory at a time
  size_t table_shared_bytes, shared_bytes;
  size_t scratch_bytes;
};

struct EmbeddingConcatLinearBackwardPlan {
  bool by_table;  // false: the caller forms the plain products
  int width;
  int columns;
  int slabs;
  int chunks;           // of examples; each has sums of its own, which are merged in order
  int warps;            // of a block; each has sums of its own, which are merged in order
  int group_positions;  // so many positions are summed at a time
  size_t shared_bytes, product_shared_bytes;
  size_t scratch_bytes;
};

EmbeddingConcatLinearForwardPlan plan_embedding_concat_linear_forward(DType type, const EmbeddingConcatLinearForward& p,
                                                                      const Device& device);
EmbeddingConcatLinearBackwardPlan plan_embedding_concat_linear_backward(DType type,
                                                                        const EmbeddingConcatLinearBackward& p,
                                                                        const Device& device);
// Both expect a plan by table, and `scratch_bytes` bytes of scratch memory that is aligned to 16 bytes.
cudaError_t embedding_concat_linear_forward(DType type, const EmbeddingConcatLinearForward& p,
                                            const EmbeddingConcatLinearForwardPlan& plan, void* scratch,
                                            cudaStream_t stream);
cudaError_t embedding_concat_linear_backward(DType type, const EmbeddingConcatLinearBackward& p,
                                             const EmbeddingConcatLinearBackwardPlan& plan, void* scratch,
                                             cudaStream_t stream);

// ---- batch_norm -----------------------------------------------------------------------------------------------------

struct BatchNormForward {
  int64_t rows;        // N, values a channel, at least 1
  int64_t channels;    // C, at least 1
  const void* input;   // (N, C) data
  void* output;        // (N, C) data
  const void* weight;  // (C) compute, or null for 1
  const void* bias;    // (C) compute, or null for 0
  void* mean;          // (C) compute, written: the mean that x was normalised with
  void* invstd;        // (C) compute, written: 1 / sqrt(biased variance + eps)
  void* running_mean;  // (C) compute, or null: updated when training, else read
  void* running_var;   // (C) compute, or null: as running_mean
  bool training;
  double momentum;
  double eps;
  Activation activation;
};

struct BatchNormBackward {
  int64_t rows;
  int64_t channels;
  const void* input;        // (N, C) data: x
  const void* output;       // (N, C) data: y, read where the activation is tanh
  const void* grad_output;  // (N, C) data
  const void* weight;       // (C) compute, or null for 1
  const void* mean;         // (C) compute: what the forward pass normalised with
  const void* invstd;       // (C) compute
  void* grad_input;         // (N, C) data, or null where no gradient is wanted
  void* grad_weight;        // (C) compute, or null
  void* grad_bias;          // (C) compute, or null
  bool training;            // whether mean and invstd depend on x
  Activation activation;
};

// A block takes a slab of columns and a chunk of rows. Where sums run over several chunks, all blocks of the grid are
// on the device at once and wait for each other. Rows that fit are kept in shared memory from the first pass to the
// second.
struct BatchNormPlan {
  int width;
  int columns;
  int slabs;
  int chunks;
  int threads;
  int kept_rows;     // of a chunk, in shared memory
  bool cooperative;  // whether chunks wait for each other
  size_t shared_bytes;
  size_t scratch_bytes;
};

BatchNormPlan plan_batch_norm_forward(DType type, const BatchNormForward& p, const Device& device);
BatchNormPlan plan_batch_norm_backward(DType type, const BatchNormBackward& p, const Device& device);
cudaError_t batch_norm_forward(DType type, const BatchNormForward& p, const BatchNormPlan& plan, void* scratch,
                               cudaStream_t stream);
cudaError_t batch_norm_backward(DType type, const BatchNormBackward& p, const BatchNormPlan& plan, void* scratch,
                                cudaStream_t stream);

}  // namespace namegen::cuda
