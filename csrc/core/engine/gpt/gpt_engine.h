// Whole training steps of the GPT in one call: forest of distinct prefixes, forward, softmax cross-entropy, backward
// and update, K times. Free of torch. Behind this interface stands one class per instruction set and type
// (cpu/cpu_gpt_engine.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/gpt/sequence_set.h"
#include "engine/training/step_engine.h"
#include "kernels/cpu/context.h"

namespace namegen::engine {

// (x - mean) * rstd, times a weight and plus a bias; or x / sqrt(mean(x^2) + eps) without either.
enum class GptNorms { kLayer, kRms };
// The exact GELU, its approximation by tanh, or max(x, 0).
enum class GptActivation { kGelu, kGeluTanh, kRelu };

// Token + position embedding (-> norm) -> layers (-> norm) -> linear to the logits, without a bias. A layer is
//
//     x = x + output(attention(norm_1(x))),    x = x + linear_2(activation(linear_1(norm_2(x))))
//
// with causal attention of `heads` heads of embed / heads values each.
struct GptNetwork {
  int64_t vocab;  // V
  int64_t block;  // T, the most positions of a sequence
  int64_t embed;  // E, the width of the residual stream
  int64_t layers;
  int64_t heads;                // divides embed
  int64_t hidden;               // outputs of linear_1
  bool tied;                    // whether the last linear's weight is that of the token embedding
  double eps;                   // of the norms
  bool biases = true;           // of the layers' linears and of layer norms
  bool final_norm = true;       // behind the layers
  bool embedding_norm = false;  // before them
  GptNorms norms = GptNorms::kLayer;
  GptActivation activation = GptActivation::kGelu;
};

// Asked between pieces of work, by any of the threads that do it: whether to stop.
struct Interrupt {
  bool (*asked)(void* state) = nullptr;
  void* state = nullptr;
};

class GptEngine {
 public:
  virtual ~GptEngine() = default;

  // Parameters in the order token embedding, position embedding; embedding norm; of each layer norm_1, projections to
  // query, key and value, output, norm_2, linear_1, linear_2; last norm; the head's weight where it is not tied. Each
  // has a weight and a bias, as far as the network has them.
  virtual int64_t parameter_count() const = 0;
  virtual ParameterShape parameter_shape(int64_t parameter) const = 0;
  // Copies in (take) and out (give), in torch's layout and the engine's type.
  virtual void take(int64_t parameter, Slot slot, const void* data) = 0;
  virtual void give(int64_t parameter, Slot slot, void* data) const = 0;
  // How many updates the optimizer has made.
  virtual void set_updates(int64_t updates) = 0;

  // Takes the n >= 0 sequences that `run` draws from: tokens (n, block), each in [0, V), and targets (n, block), each
  // in [0, V) or kIgnored. Where there is no memory for them, those before stay.
  virtual void set_examples(const int32_t* tokens, const int32_t* targets, int64_t n) = 0;
  // After set_examples. A loss is the mean over the targets that are not ignored: NaN where there are none.
  // `done` counts the steps that were made: all, or those before an interrupt or an exception, which leave no step half
  // done.
  virtual void run(const Steps& steps, cpu::Context& context, const Interrupt& interrupt, int64_t* done) = 0;
  // The sum of the losses, in nats, of the sequences at places [first, end) of the set's sorted order;
  // any number after an interrupt.
  virtual double sum_of_losses(const SequenceSet& set, int64_t first, int64_t end, cpu::Context& context,
                               const Interrupt& interrupt) = 0;
};

// For float32 or float64, with the instruction set in use or a named one (see kernels/cpu/instruction_sets.h). Throws
// std::runtime_error where that cannot be had.
std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype);
std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype,
                                           const std::string& isa);

}  // namespace namegen::engine
