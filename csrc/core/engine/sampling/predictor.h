// What names are drawn from: a model that gives each next symbol a logit, behind any context. Networks, counting models
// and mixtures of them are predictors.
#pragma once

#include <memory>
#include <string>

#include "engine/sampling/memo.h"

namespace namegen::sampling {

class ContextTree;

// A predictor at work, with tables and scratch memory of its own: one for each thread.
class Predictions {
 public:
  static constexpr int64_t kMostContexts = 256;

  virtual ~Predictions() = default;

  // The logits (count, padded(vocab)) behind up to kMostContexts contexts; they stay until the next call.
  virtual const float* logits(const Key* contexts, int64_t count) = 0;
  // The same, unrounded, of a predictor that computes in float64. The others return null.
  virtual const double* wide_logits(const Key* contexts, int64_t count);
  // The contexts of a predictor that looks at more symbols than a key holds. The others return null: their contexts are
  // those of Predictor::append.
  virtual ContextTree* own_contexts();
};

// A context is a key. Most hold their last `block` symbols, the newest in the lowest bits; where a predictor looks at
// more than these, a key is what it makes of them in `append`. The key 0 is a context without symbols: a name's start.
class Predictor {
 public:
  virtual ~Predictor() = default;

  int64_t vocab() const { return vocab_; }
  int64_t block() const { return block_; }
  int bits() const { return bits_; }  // of a symbol in a key
  // Whether keys are something else than the last symbols.
  bool has_states() const { return has_states_; }

  // The context with one symbol behind it. Throws std::logic_error where contexts belong to the predictions.
  Key append(Key context, uint32_t symbol) const {
    return has_states_ ? next_state(context, symbol) : (context << bits_ | symbol) & mask_;
  }
  // The context of a window of symbols, oldest first, with zeros before the start of a name.
  Key context_of_window(const int64_t* symbols, int64_t width) const;
  // The last `block` symbols of a key of a predictor of the same symbols that holds as many or more.
  Key last_symbols(Key symbols) const { return symbols & mask_; }

  // Contexts of one class have the same probabilities, and stay in one class when a symbol is appended to each. Here
  // each context is a class of its own; `has_classes` tells whether a predictor joins some.
  virtual bool has_classes() const;
  virtual Key class_of(Key context) const;

  int64_t num_contexts() const;  // vocab^block; throws std::invalid_argument from 2^32 on
  // The symbols that are a number, in base vocab, the oldest first; and its inverse.
  Key context_of(int64_t number) const;
  int64_t number_of(Key context) const;

  // Makes it ready to be asked. `self` is what it is called on, and is kept alive.
  virtual std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const = 0;

 protected:
  // Throws std::invalid_argument for sizes that cannot be.
  Predictor(int64_t vocab, int64_t block);
  // Throws std::invalid_argument where so many symbols do not fit into a key of `key_bits`.
  void set_block(int64_t block, int key_bits = kKeyBits);
  void set_states() { has_states_ = true; }

 private:
  virtual Key next_state(Key context, uint32_t symbol) const;

  int64_t vocab_;
  int64_t block_;
  int bits_ = 1;
  bool has_states_ = false;
  Key mask_ = 0;
};

}  // namespace namegen::sampling
