// Whole training steps in one call: minibatch gather, forward, softmax cross-entropy, backward and update, K times.
// Free of torch. Behind this interface stands one class per instruction set and type (cpu/cpu_step_engine.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/cpu/context.h"
#include "kernels/types.h"

namespace namegen::engine {

// A hidden level: `group` neighbouring positions side by side -> linear -> batch norm, where there is one -> tanh.
struct Level {
  int64_t group;      // positions taken together
  int64_t size;       // H, outputs
  bool bias;          // of the linear
  bool batch_norm;    // over the minibatch and all positions
  bool unbiased;      // whether batch norm divides by the unbiased variance of the minibatch
  double eps = 1e-5;  // of batch norm
  double momentum = 0.1;
};

// Embedding -> levels -> linear to the logits. The groups multiply to `block`. Without levels the embedding's rows are
// the logits themselves (the one-layer bigram network): block is 1, embed is vocab, and there is no output linear.
struct Network {
  int64_t vocab;  // V
  int64_t block;  // tokens an example
  int64_t embed;  // E
  static constexpr int64_t kMostLevels = 16;
  int64_t level_count;
  Level levels[kMostLevels];
  bool output_bias;
};

using namegen::Optimizer;
using namegen::OptimizerKind;

// One array per parameter and state in torch's layout: rows x columns (a vector has one row).
struct ParameterShape {
  int64_t rows;
  int64_t columns;
};

// Which array of a parameter is meant.
enum class Slot : int {
  kValue = 0,
  kFirstState = 1,   // momentum_buffer or exp_avg
  kSecondState = 2,  // exp_avg_sq
};

struct Steps {
  const int64_t* indices;        // (count, batch), each below the n of set_examples
  const double* learning_rates;  // (count)
  double* losses;                // (count), written: nats, each taken before its update
  int64_t count;                 // K
  int64_t batch;                 // B
};

class StepEngine {
 public:
  virtual ~StepEngine() = default;

  // Parameters in the order embedding; weight, bias, batch-norm weight, batch-norm bias of each level, as far as it has
  // them; output weight, output bias.
  virtual int64_t parameter_count() const = 0;
  virtual ParameterShape parameter_shape(int64_t parameter) const = 0;
  // Copies in (take) and out (give), in torch's layout and the engine's type.
  virtual void take(int64_t parameter, Slot slot, const void* data) = 0;
  virtual void give(int64_t parameter, Slot slot, void* data) const = 0;
  // Running statistics of a level with batch norm, each (H).
  virtual void take_statistics(int64_t level, const void* mean, const void* var) = 0;
  virtual void give_statistics(int64_t level, void* mean, void* var) const = 0;
  // How many updates the optimizer has made: AdamW's bias corrections and SGD's first momentum depend on it.
  virtual void set_updates(int64_t updates) = 0;

  // Whether all of n values lie in [0, limit): looked at anew for each call, so at the speed of memory.
  virtual bool all_below(const int32_t* values, int64_t n, int64_t limit) const = 0;
  virtual bool all_below(const int64_t* values, int64_t n, int64_t limit) const = 0;

  // Takes the n >= 0 examples that `run` draws from: tokens (n, block) and targets (n), each in [0, V). Where there is
  // no memory for them, or more than 2^30 rows are distinct, those before stay.
  virtual void set_examples(const int32_t* tokens, const int32_t* targets, int64_t n) = 0;
  // After set_examples.
  virtual void run(const Steps& steps, cpu::Context& context) = 0;
  // Logits (n, V) in evaluation mode of tokens (n, block).
  virtual void logits(const int32_t* tokens, int64_t n, void* logits, cpu::Context& context) = 0;
};

// For float32 or float64, with the instruction set in use or a named one (see kernels/cpu/instruction_sets.h). Throws
// std::runtime_error where that cannot be had.
std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype);
std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype,
                                             const std::string& isa);

}  // namespace namegen::engine
