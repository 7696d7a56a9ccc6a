// A network in evaluation: an embedding, then levels that join neighbouring positions, each a linear layer and perhaps
// a tanh. Batch norm is part of the linear layers' weights. The flat perceptron is one level that joins the whole
// context and further ones that join nothing; the WaveNet joins two at a time.
//
// What a level makes of a group of symbols is the same wherever the group stands, and names share many groups. So a
// level's products with the weights of the next level are kept: in a table of all groups where these are few, else in
// a memo. A level is then a sum of kept rows; only where a level has the whole context before it is a product left.
//
// A table of logits is the network without levels: its embedding has a row for each context.
#pragma once

#include <memory>

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/predictor.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

struct Level {
  int64_t factor;             // positions joined
  int64_t in;                 // features of a position before
  int64_t out;                // and after
  std::vector<float> weight;  // (out, factor * in)
  std::vector<float> bias;    // (out)
  bool tanh;
};

class Network final : public Predictor {
 public:
  // `embedding` is (vocab, embedding_dim). The last level's `out` is vocab; the factors' product is the block size.
  // Throws std::invalid_argument where sizes do not fit, or a context does not fit into a key.
  Network(int64_t vocab, int64_t embedding_dim, std::vector<float> embedding, std::vector<Level> levels);
  // A counting model, or a bigram: the logits of each context stand in a table (vocab^block, vocab). A context is a
  // number in base vocab, its oldest symbol first. Throws std::invalid_argument as above, and from 2^32 contexts on.
  static Network of_table(int64_t vocab, int64_t block, const float* logits);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

 private:
  friend class Evaluation;

  Network(int64_t vocab, int64_t block);
  void set_embedding(const float* embedding, int64_t rows, int64_t embedding_dim);

  struct Part {
    int64_t factor;
    int64_t span;  // symbols that its input covers, a position
    int64_t in;    // as padded
    int64_t out;   // as padded
    bool tanh;
    AlignedArray<float> bias;    // (out)
    AlignedArray<float> packed;  // (factor): for each position, (in) by (out)
    const float* packed_for(int64_t position) const { return packed.data() + position * packed_size(in, out); }
  };

  int64_t embedding_stride_ = 0;
  AlignedArray<float> embedding_;  // (vocab, embedding_stride); without levels (vocab^block, embedding_stride)
  std::vector<Part> parts_;        // the levels; none for a table of logits
  size_t joining_ = 0;             // so many of them have less than the whole context before them
};

// A network at work: its tables, memos and scratch memory.
class Evaluation final : public Predictions {
 public:
  explicit Evaluation(std::shared_ptr<const Network> network);

  const float* logits(const Key* contexts, int64_t count) override;

 private:
  // The products of one level's input with its weights, for groups of `span` symbols: a row for each group in each of
  // the positions that the level joins.
  struct Store {
    bool holds_all;            // a group's row is its key; else `memos` tell
    int64_t capacity;          // rows for a position
    int64_t features;          // of a row
    AlignedArray<float> rows;  // (factor, capacity, features)
    std::vector<Memo> memos;   // (factor)
    std::vector<Key> groups, missing;
    std::vector<uint32_t> index;
    AlignedArray<float> output;
    float* row(int64_t position, int64_t i) { return &rows[(position * capacity + i) * features]; }
  };

  const float* table_logits(const Key* contexts, int64_t count);
  const float* inputs_of(size_t level, const Key* groups, int64_t count);
  void find_rows(size_t level, const Key* contexts, int64_t count);
  void fill(size_t level, int64_t position, const Key* groups, int64_t count, float* rows);
  void tabulate(size_t level);

  std::shared_ptr<const Network> network_;
  const SamplingKernels& kernels_;
  std::vector<Store> stores_;
  std::vector<uint32_t> iota_;
  AlignedArray<float> products_;
  AlignedArray<float> hidden_[2];
};

}  // namespace namegen::sampling
