// The types that the kernels' interfaces are made of. They know nothing of torch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace namegen {

// The dtype of a kernel's large tensors. bfloat16 and float16 are computed in float32.
enum class DType : int { kFloat32 = 0, kFloat64 = 1, kBFloat16 = 2, kFloat16 = 3 };
inline constexpr int kDTypeCount = 4;

enum class Activation : int { kNone = 0, kTanh = 1 };

// The dtype of token tensors.
enum class TokenType : int { kUInt8 = 0, kInt32 = 1, kInt64 = 2 };

struct EmbeddingConcatLinearShape {
  int64_t batch;   // N, examples
  int64_t block;   // T, tokens an example
  int64_t vocab;   // V, rows of the embedding
  int64_t embed;   // E, columns of the embedding
  int64_t hidden;  // H, outputs
};

enum class OptimizerKind : int { kSgd = 0, kAdamW = 1 };

// The settings of an optimizer, with the meanings of torch.optim.SGD (dampening 0) and torch.optim.AdamW.
struct Optimizer {
  OptimizerKind kind;
  double weight_decay;
  double momentum;  // SGD
  bool nesterov;    // SGD
  double beta1;     // AdamW
  double beta2;     // AdamW
  double eps;       // AdamW
  // Gradients whose global norm is above this are scaled down to it, as torch.nn.utils.clip_grad_norm_ does; 0: none.
  double most_norm = 0;
  bool averages = false;  // whether a moving average of the values is kept beside them
};

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

}  // namespace namegen
