// The passes of a step, each over the whole of minibatch `now` and level by level, for float and double. A pass is cut
// into chunks of rows that threads can share. Chunks depend on the minibatch alone and are merged in order, so the bits
// do not depend on the number of threads.
#pragma once

#include "engine/training/cpu/step_state.h"

namespace namegen::cpu::NAMEGEN_ISA {

// From the tokens up to the last level that is waited for; when training, with the statistics of the minibatch.
template <class T>
void forward(StepState<T>& s, bool training);

// From there to the logits of each distinct context, for one chunk of these; and the floating-point operations for all.
template <class T>
void logits_rows(const StepState<T>& s, const RowRange& range);
template <class T>
double logits_flops(const StepState<T>& s);

// The logits, the sum of the losses in nats, and the way back from the losses to the last level, with the gradients of
// the output linear: all that a chunk of contexts needs, in one go. With update_at_once the weights of the linears are
// moved on the way, here, in `backward` and in `first_level_gradients`.
template <class T>
double output(StepState<T>& s);

// From the last level down to the sums per symbol of the first one, by chunk.
template <class T>
void backward(StepState<T>& s);

// From these sums, the gradients of the first linear and of the embedding.
template <class T>
void first_level_gradients(StepState<T>& s);

// Instead of those above, where the network is one table and a minibatch has at least as many examples as that has
// rows: the sum of the losses, from pairs that are counted, and the gradient of the table. A step of the bigram takes
// 6.9 us for 1,024 examples, where it took 36, and 109 us for 28,876, where it took 1,191.
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
