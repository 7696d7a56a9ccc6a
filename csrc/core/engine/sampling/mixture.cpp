#include "engine/sampling/mixture.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/require.h"
#include "engine/sampling/aligned_array.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

namespace {

int64_t vocab_of(const std::vector<Mixture::Component>& components) {
  require(!components.empty(), "a mixture must have a component at least");
  return components[0].predictor->vocab();
}

int64_t longest_block(const std::vector<Mixture::Component>& components) {
  int64_t longest = 1;
  for (const Mixture::Component& component : components) longest = std::max(longest, component.predictor->block());
  return longest;
}

}  // namespace

class MixturePredictions final : public Predictions {
 public:
  MixturePredictions(std::shared_ptr<const Predictor> owner, const Mixture& mixture)
      : owner_(std::move(owner)),
        mixture_(mixture),
        stride_(padded(mixture.vocab())),
        logits_(kMostContexts * stride_),
        kernels_(sampling_kernels()) {
    for (const Mixture::Component& component : mixture.components_) {
      predictions_.push_back(component.predictor->start(component.predictor));
      weights_.push_back(static_cast<float>(component.weight));
    }
  }

  const float* logits(const Key* contexts, int64_t count) override {
    std::array<Key, kMostContexts> symbols, own;
    for (int64_t i = 0; i < count; ++i) {
      const Key context = mixture_.resolved(contexts[i]);
      symbols[i] = Mixture::is_node(context) ? mixture_.symbols_[Mixture::node_of(context)] : context;
    }
    found_.clear();
    for (size_t c = 0; c < predictions_.size(); ++c) {
      for (int64_t i = 0; i < count; ++i) own[i] = mixture_.components_[c].predictor->last_symbols(symbols[i]);
      found_.push_back(predictions_[c]->logits(own.data(), count));
    }
    const auto parts = static_cast<int64_t>(found_.size());
    kernels_.weighted_sum({found_.data(), weights_.data(), parts, count * stride_, logits_.data()});
    for (int64_t i = 0; i < count; ++i) {
      const Key context = mixture_.resolved(contexts[i]);
      if (Mixture::is_node(context)) adjust(Mixture::node_of(context), logits_.data() + i * stride_);
    }
    return logits_.data();
  }

 private:
  void adjust(int64_t node, float* row) const {
    const KnownNames& known = mixture_.known_;
    for (int64_t child = mixture_.first_child_[node]; child < mixture_.first_child_[node + 1]; ++child) {
      row[known.keys[child] % mixture_.vocab()] += known.adjustments[child];
    }
  }

  std::shared_ptr<const Predictor> owner_;
  const Mixture& mixture_;
  int64_t stride_;
  AlignedArray<float> logits_;
  const SamplingKernels& kernels_;
  std::vector<std::unique_ptr<Predictions>> predictions_;
  std::vector<float> weights_;
  std::vector<const float*> found_;
};

Mixture::Mixture(std::vector<Component> components, int64_t block, KnownNames known)
    : Predictor(vocab_of(components), block), components_(std::move(components)) {
  for (const Component& component : components_) {
    require(component.predictor->vocab() == vocab(), "the components of a mixture must have one vocabulary");
    require(!component.predictor->has_states(), "a component of a mixture must see the last symbols alone");
    require(std::isfinite(component.weight), "the weights of a mixture must be finite");
  }
  require(longest_block(components_) <= block, "no component of a mixture may see more symbols than it");
  // Of the last symbols no more is kept than a component sees: contexts that differ in older ones share their row.
  set_block(longest_block(components_), kNodeBit);
  if (!known.keys.empty()) set_known(std::move(known));
}

// The keys ascend, so the children of a node follow on each other, and come after it where their parent's number is at
// most that of the nodes before them.
void Mixture::set_known(KnownNames known) {
  known_ = std::move(known);
  require(known_.adjustments.size() == known_.keys.size(), "adjustments must be as many as keys");
  const auto nodes = static_cast<int64_t>(known_.keys.size()) + 1;
  first_child_.assign(nodes + 1, 0);
  symbols_.assign(nodes, 0);
  set_states();
  for (int64_t child = 0; child < nodes - 1; ++child) {
    const int64_t key = known_.keys[child];
    require(key >= 0 && (child == 0 || key > known_.keys[child - 1]), "keys must ascend from 0 on");
    const int64_t parent = key / vocab();
    require(parent <= child, "the parent of a key must be a node before it");
    require(parent == 0 || known_.keys[parent - 1] % vocab() != 0, "behind the end of a name there can be no symbol");
    require(std::isfinite(known_.adjustments[child]), "adjustments must be finite");
    ++first_child_[parent + 1];
    symbols_[child + 1] = last_symbols(symbols_[parent] << bits() | static_cast<Key>(key % vocab()));
  }
  for (int64_t node = 0; node < nodes; ++node) first_child_[node + 1] += first_child_[node];
}

Key Mixture::next_state(Key context, uint32_t symbol) const {
  context = resolved(context);
  if (!is_node(context)) return last_symbols(context << bits() | symbol);
  const int64_t node = node_of(context);
  const auto begin = known_.keys.begin() + first_child_[node], end = known_.keys.begin() + first_child_[node + 1];
  const int64_t wanted = node * vocab() + symbol;
  const auto child = std::lower_bound(begin, end, wanted);
  if (child != end && *child == wanted) return key_of(child - known_.keys.begin() + 1);
  return last_symbols(symbols_[node] << bits() | symbol);
}

std::unique_ptr<Predictions> Mixture::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<MixturePredictions>(std::move(self), *this);
}

}  // namespace namegen::sampling
