// Softmax cross-entropy of the nodes of a piece: each has a row of logits, and counts of its targets.
#include "engine/gpt/cpu/gpt_passes.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// The logits become exponentials. Returns what these were taken against and their sum by `row`; the sum of the losses
// of the node's targets as the result.
template <class T>
double node_loss(const engine::ForestPiece& piece, int64_t node, int64_t vocab, T* logits, int64_t* targets,
                 Exponentials<T>* row) {
  double wanted = 0;
  *targets = 0;
  for (int32_t t = piece.target_begin[node]; t < piece.target_begin[node + 1]; ++t) {
    wanted += double(piece.targets[t].count) * double(logits[piece.targets[t].symbol]);
    *targets += piece.targets[t].count;
  }
  if (*targets == 0) return 0;
  *row = take_exponentials(logits, vocab);
  return double(*targets) * (double(row->top) + __builtin_log(double(row->sum))) - wanted;
}

}  // namespace

template <class T>
double gpt_losses(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m) {
  double sum = 0;
  for (int64_t i = 0; i < piece.nodes; ++i) {
    int64_t targets;
    Exponentials<T> row;
    sum += node_loss(piece, i, p.network.vocab, m.logits.row(i), &targets, &row);
  }
  return sum;
}

template <class T>
double gpt_losses_and_gradients(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m,
                                T scale) {
  const int64_t vocab = p.network.vocab;
  double sum = 0;
  for (int64_t i = 0; i < piece.nodes; ++i) {
    T* logits = m.logits.row(i);
    int64_t targets;
    Exponentials<T> row;
    sum += node_loss(piece, i, vocab, logits, &targets, &row);
    if (targets == 0) {
      fill_zero(logits, padded<T>(vocab));
      continue;
    }
    const T factor = scale * T(targets) / row.sum;
    for (int64_t v = 0; v < vocab; v += kWidth<T>) store(logits + v, load(logits + v) * factor);
    for (int32_t t = piece.target_begin[i]; t < piece.target_begin[i + 1]; ++t) {
      logits[piece.targets[t].symbol] -= scale * T(piece.targets[t].count);
    }
  }
  return sum;
}

template double gpt_losses(const GptParameters<float>&, const engine::ForestPiece&, PieceMemory<float>&);
template double gpt_losses(const GptParameters<double>&, const engine::ForestPiece&, PieceMemory<double>&);
template double gpt_losses_and_gradients(const GptParameters<float>&, const engine::ForestPiece&, PieceMemory<float>&,
                                         float);
template double gpt_losses_and_gradients(const GptParameters<double>&, const engine::ForestPiece&, PieceMemory<double>&,
                                         double);

}  // namespace namegen::cpu::NAMEGEN_ISA
