#include "engine/sampling/steering/context_set.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/require.h"

namespace namegen::sampling {

void check_prefix(const std::vector<int32_t>& prefix, int64_t vocab) {
  for (const int32_t symbol : prefix) {
    require(symbol >= 1 && symbol < vocab, "prefix must hold symbols from 1 to " + std::to_string(vocab - 1) +
                                               ", but holds " + std::to_string(symbol));
  }
}

// Contexts are found breadth first. The start has a number of its own, which no letter leads to: what can be drawn
// there differs from what can be drawn behind the same symbols elsewhere.
std::shared_ptr<const ContextSet> ContextSet::reach(const std::shared_ptr<const Predictor>& predictor, Shaping shaping,
                                                    const std::vector<int32_t>& prefix, int64_t most,
                                                    const Poll& poll) {
  const int64_t vocab = predictor->vocab();
  check_prefix(prefix, vocab);
  require(most >= 1 && most <= int64_t{1} << 24, "most must lie from 1 to 2^24 contexts");
  const double all = std::pow(static_cast<double>(vocab), static_cast<double>(predictor->block()));
  if (!predictor->has_classes() && (predictor->has_states() || all > static_cast<double>(most))) return nullptr;
  const std::shared_ptr<ContextSet> set(new ContextSet);
  set->vocab_ = vocab;
  ContextRows rows(predictor, shaping);
  Memo numbers(most);
  std::vector<Key> contexts{rows.start(prefix)};
  for (int64_t begin = 0; begin < static_cast<int64_t>(contexts.size());) {
    const auto found = static_cast<int64_t>(contexts.size());
    const int64_t count = begin == 0 ? 1 : std::min(Predictions::kMostContexts, found - begin);
    set->probabilities_.resize((begin + count) * vocab);
    set->next_.resize((begin + count) * vocab, 0);
    const bool without_end = begin == 0 && prefix.empty();
    rows.probabilities(&contexts[begin], count, without_end, &set->probabilities_[begin * vocab]);
    for (int64_t context = begin; context < begin + count; ++context) {
      for (int64_t symbol = 1; symbol < vocab; ++symbol) {
        if (set->probabilities_[context * vocab + symbol] == 0) continue;
        const Key key = predictor->append(contexts[context], static_cast<uint32_t>(symbol));
        const int64_t known = numbers.size();
        const uint32_t number = numbers.find_or_add(predictor->class_of(key));
        if (numbers.size() > known) contexts.push_back(key);
        if (numbers.size() >= most) return nullptr;
        set->next_[context * vocab + symbol] = number + 1;
      }
    }
    begin += count;
    poll();
  }
  set->size_ = static_cast<int64_t>(contexts.size());
  return set;
}

}  // namespace namegen::sampling
