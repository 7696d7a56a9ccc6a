// The passes of the GPT over one piece of the forest, for float and double.
#pragma once

#include "engine/gpt/cpu/piece_memory.h"

namespace namegen::cpu::NAMEGEN_ISA {

// What the passes read: one set of parameters, its second copy, and the layout of both.
template <class T>
struct GptParameters {
  const GptNetwork& network;
  const GptLayout<T>& layout;
  const T* values;
  const T* transposed;
};

// From the tokens to the logits of every node, in memory.logits. With `training` all that the backward pass reads is
// kept.
template <class T>
void gpt_forward(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory,
                 bool training);

// The sum of the losses of the piece's targets, in nats.
template <class T>
double gpt_losses(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory);
// The same; the logits become the gradients of losses of which each counts `scale`.
template <class T>
double gpt_losses_and_gradients(const GptParameters<T>& parameters, const engine::ForestPiece& piece,
                                PieceMemory<T>& memory, T scale);

// From the gradients of the logits to those of all parameters: of the weights in panels written where `begin`, else
// added to, as all others are.
template <class T>
void gpt_backward(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory,
                  T* gradients, bool begin);

}  // namespace namegen::cpu::NAMEGEN_ISA
