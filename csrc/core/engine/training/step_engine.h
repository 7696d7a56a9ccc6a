// Whole training steps in one call: minibatch gather, forward, softmax cross-entropy, backward and update, K times. The
// engine knows nothing of torch. Behind this interface stands one class per instruction set and type
// (cpu/cpu_step_engine.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/cpu/context.h"
#include "kernels/types.h"

namespace namegen::engine {

// A hidden level: `group` neighbouring positions side by side -> linear -> batch norm (where there is one) -> tanh.
struct Level {
  int64_t group;      // positions taken together
  int64_t size;       // H, outputs
  bool bias;          // of the linear
  bool batch_norm;    // over the minibatch and all positions
  bool unbiased;      // whether batch norm divides by the unbiased variance of the minibatch
  double eps = 1e-5;  // of batch norm
  double momentum = 0.1;
};

// Embedding -> levels -> linear to the logits. The product of the groups is `block`. A network without levels is the
// one-layer bigram: the rows of its embedding are the logits, block is 1, embed is vocab, and there is no output
// linear.
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

// The shape of a parameter, and of each state, in torch's layout. A vector has one row.
struct ParameterShape {
  int64_t rows;
  int64_t columns;
};

// The arrays of a parameter: its value and the optimizer's states.
enum class Slot : int {
  kValue = 0,
  kFirstState = 1,   // momentum_buffer or exp_avg
  kSecondState = 2,  // exp_avg_sq
  kAverage = 3,      // the moving average of the value, where one is kept
};
inline constexpr int kSlotCount = 4;

struct Steps {
  const int64_t* indices;        // (count, batch), each below the n of set_examples
  const double* learning_rates;  // (count)
  double* losses;                // (count), written: in nats, each taken before the step's update
  int64_t count;                 // K
  int64_t batch;                 // B
  // Where an average is kept, (count): it moves by such a share of its distance to the values after each step.
  const double* average_shares = nullptr;
};

class StepEngine {
 public:
  virtual ~StepEngine() = default;

  // Parameters have this order: embedding; weight, bias, batch-norm weight and batch-norm bias of each level, where it
  // has them; output weight, output bias.
  virtual int64_t parameter_count() const = 0;
  virtual ParameterShape parameter_shape(int64_t parameter) const = 0;
  // Copy an array in (take) and out (give), in torch's layout and the engine's type.
  virtual void take(int64_t parameter, Slot slot, const void* data) = 0;
  virtual void give(int64_t parameter, Slot slot, void* data) const = 0;
  // The running statistics of a level with batch norm, (H) each.
  virtual void take_statistics(int64_t level, const void* mean, const void* var) = 0;
  virtual void give_statistics(int64_t level, void* mean, void* var) const = 0;
  // How many updates the optimizer has made. AdamW's bias corrections and SGD's first momentum depend on it.
  virtual void set_updates(int64_t updates) = 0;

  // Whether all of n values lie in [0, limit). All values are read at each call, at the speed of memory.
  virtual bool all_below(const int32_t* values, int64_t n, int64_t limit) const = 0;
  virtual bool all_below(const int64_t* values, int64_t n, int64_t limit) const = 0;

  // Takes the n >= 0 examples that `run` draws from: tokens (n, block) and targets (n), each in [0, V). Throws where
  // there is no memory for them or where more than 2^30 rows are distinct. The earlier examples then stay.
  virtual void set_examples(const int32_t* tokens, const int32_t* targets, int64_t n) = 0;
  // Runs K steps. set_examples must come first.
  virtual void run(const Steps& steps, cpu::Context& context) = 0;
  // Computes the logits (n, V) of tokens (n, block) in evaluation mode.
  virtual void logits(const int32_t* tokens, int64_t n, void* logits, cpu::Context& context) = 0;
};

// Makes an engine for float32 or float64, with the instruction set in use or a named one (see
// kernels/cpu/instruction_sets.h). Throws std::runtime_error where that cannot be had.
std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype);
std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype,
                                             const std::string& isa);

}  // namespace namegen::engine
