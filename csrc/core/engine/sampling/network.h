// A network in evaluation: an embedding, then levels that join neighbouring positions. Each level is a linear layer and
// perhaps a tanh. Batch norm is part of the linear layers' weights. The flat perceptron has one level that joins the
// whole context, and further ones that join nothing. The WaveNet joins two positions at a time.
//
// What a level makes of a group of symbols is the same wherever the group stands, and names share many groups. So the
// products of a level with the weights of the next level are kept: in a table of all groups where these are few, else
// in a memo. A level is then a sum of kept rows. A product is left only where a level has the whole context before it.
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
  int64_t in;                 // features of a position before the level
  int64_t out;                // features of a position behind it
  std::vector<float> weight;  // (out, factor * in)
  std::vector<float> bias;    // (out)
  bool tanh;
};

class Network final : public Predictor {
 public:
  // `embedding` is (vocab, embedding_dim). The last level's `out` is vocab, and the product of the factors is the block
  // size. Throws std::invalid_argument where sizes do not fit, or a context does not fit into a key.
  Network(int64_t vocab, int64_t embedding_dim, std::vector<float> embedding, std::vector<Level> levels);
  // A counting model or a bigram: a table (vocab^block, vocab) holds the logits of each context. A context is a number
  // in base vocab, whose highest digit is its oldest symbol. Throws std::invalid_argument as above, and from 2^32
  // contexts on.
  static Network of_table(int64_t vocab, int64_t block, const float* logits);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

 private:
  friend class Evaluation;

  Network(int64_t vocab, int64_t block);
  void set_embedding(const float* embedding, int64_t rows, int64_t embedding_dim);

  struct Part {
    int64_t factor;
    int64_t span;  // the symbols that one position of its input covers
    int64_t in;    // padded
    int64_t out;   // padded
    bool tanh;
    AlignedArray<float> bias;    // (out)
    AlignedArray<float> packed;  // (factor): for each position, (in) by (out)
    const float* packed_for(int64_t position) const { return packed.data() + position * packed_size(in, out); }
  };

  int64_t embedding_stride_ = 0;
  AlignedArray<float> embedding_;  // (vocab, embedding_stride); without levels (vocab^block, embedding_stride)
  std::vector<Part> parts_;        // the levels; none for a table of logits
  size_t joining_ = 0;             // the number of levels that have less than the whole context before them
};

// A network at work, with its tables, memos and scratch memory.
class Evaluation final : public Predictions {
 public:
  explicit Evaluation(std::shared_ptr<const Network> network);

  const float* logits(const Key* contexts, int64_t count) override;

 private:
  // The products of one level's input with its weights, for groups of `span` symbols. There is a row for each group in
  // each of the positions that the level joins.
  struct Store {
    bool holds_all;            // then a group's row is its key; else `memos` tell the row
    int64_t capacity;          // rows for each position
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
