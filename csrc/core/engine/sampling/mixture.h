// Several predictors in one: their logits, added up by weights. Softmax of the sum is the product of their
// probabilities, each to the power of its weight.
//
// The names of a list can be made rarer in it: see namegen_ext/models/known_names.py. Their beginnings are the nodes of
// a prefix tree, and while a name is one of them its context is the node, which says more than the last symbols do.
#pragma once

#include <vector>

#include "engine/sampling/predictor.h"

namespace namegen::sampling {

// The names of a list: their prefix tree, and what is added to the logits of symbols that lead on in it. Node n > 0 is
// the n-th of the ascending keys `parent * vocab + symbol`; a name's end, symbol 0, is a node too.
struct KnownNames {
  std::vector<int64_t> keys;       // (nodes - 1)
  std::vector<float> adjustments;  // (nodes - 1)
};

class Mixture final : public Predictor {
 public:
  struct Component {
    std::shared_ptr<const Predictor> predictor;
    double weight;
  };

  // Throws std::invalid_argument for components of different vocabularies, none at all, or with states; for weights
  // that are not finite; and for keys that are no prefix tree of names shorter than `block` symbols.
  Mixture(std::vector<Component> components, int64_t block, KnownNames known);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

 private:
  friend class MixturePredictions;

  Key next_state(Key context, uint32_t symbol) const override;
  void set_known(KnownNames known);

  // The key of a node holds this bit and the node's number.
  static constexpr int kNodeBit = kKeyBits - 1;
  static bool is_node(Key context) { return context >> kNodeBit != 0; }
  static Key key_of(int64_t node) { return Key{1} << kNodeBit | static_cast<Key>(node); }
  // The start of a name is the root of the tree.
  Key resolved(Key context) const { return context == 0 && has_states() ? key_of(0) : context; }
  static int64_t node_of(Key context) { return static_cast<int64_t>(static_cast<uint64_t>(context)); }

  std::vector<Component> components_;
  KnownNames known_;
  std::vector<int64_t> first_child_;  // (nodes + 1): the children of a node are the keys from here on
  std::vector<Key> symbols_;          // (nodes): the last symbols of each
};

}  // namespace namegen::sampling
