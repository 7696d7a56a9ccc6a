// The passes of the GPT over one piece of the forest, for float and double.
#pragma once

#include "engine/gpt/cpu/norms.h"
#include "engine/gpt/cpu/piece_memory.h"

namespace namegen::cpu::NAMEGEN_ISA {

// What the passes read: one set of parameters, its second copy, and the layout of both.
template <class T>
struct GptParameters {
  const GptNetwork& network;
  const GptLayout<T>& layout;
  const T* values;
  const T* transposed;
  const T* at(int64_t offset) const { return offset < 0 ? nullptr : values + offset; }
  Norm<T> norm(const GptNorm& norm) const { return {network.norms, network.eps, at(norm.weight), at(norm.bias)}; }
};

// Computes the logits of every node, in memory.logits. With `training` it keeps what the backward pass reads.
template <class T>
void gpt_forward(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory,
                 bool training);

// The sum of the losses of the piece's targets, in nats.
template <class T>
double gpt_losses(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory);
// The same. It also replaces the logits by the gradients of the losses, times `scale`.
template <class T>
double gpt_losses_and_gradients(const GptParameters<T>& parameters, const engine::ForestPiece& piece,
                                PieceMemory<T>& memory, T scale);

// Computes the gradients of all parameters from those of the logits. The gradients of the weights in panels are written
// where `begin` is true, and added to otherwise. All others are added to.
template <class T>
void gpt_backward(const GptParameters<T>& parameters, const engine::ForestPiece& piece, PieceMemory<T>& memory,
                  T* gradients, bool begin);

}  // namespace namegen::cpu::NAMEGEN_ISA
