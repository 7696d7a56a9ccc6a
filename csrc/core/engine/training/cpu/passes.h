// The passes of a step, for float and double. Each pass goes over the whole of minibatch `now`, level by level. A pass
// is cut into chunks of rows that threads can share. Chunks depend on the minibatch alone and are merged in order, so
// the bits do not depend on the number of threads.
#pragma once

#include "engine/training/cpu/step_state.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Computes the levels from the tokens up to the last one that is waited for. Training takes the statistics of the
// minibatch.
template <class T>
void forward(StepState<T>& s, bool training);

// Computes the other levels and the logits, for one chunk of the distinct contexts. logits_flops is the number of
// floating-point operations for all chunks.
template <class T>
void logits_rows(const StepState<T>& s, const RowRange& range);
template <class T>
double logits_flops(const StepState<T>& s);

// Computes the logits and returns the sum of the losses in nats. It also goes back from the losses to the last level,
// with the gradients of the output linear, so that a chunk of contexts needs one pass. With update_at_once the weights
// of the linears are moved on the way, here, in `backward` and in `first_level_gradients`.
template <class T>
double output(StepState<T>& s);

// Goes back from the last level to the sums per symbol of the first one, which each chunk has for itself.
template <class T>
void backward(StepState<T>& s);

// Computes, from these sums, the gradients of the first linear and of the embedding.
template <class T>
void first_level_gradients(StepState<T>& s);

// Replaces the passes above where the network is one table and a minibatch has at least as many examples as the table
// has rows. It counts the pairs of context and target, returns the sum of the losses and writes the gradient of the
// table. Measured: 36 us with the passes above, 6.9 us with counted pairs (one step of the bigram, 1,024 examples);
// 1,191 us with the passes, 109 us with counted pairs (28,876 examples).
bool pairs_can_be_counted(int64_t levels, int64_t vocab, int64_t batch);
template <class T>
double cross_entropy_of_pairs(StepState<T>& s);

// Moves the parameters that backward has not moved, and renews the second copy of the weights.
template <class T>
void update(StepState<T>& s);

// Writes the second copy of the weights, which backward reads.
template <class T>
void transpose_weights(StepState<T>& s, Context& context);

}  // namespace namegen::cpu::NAMEGEN_ISA
