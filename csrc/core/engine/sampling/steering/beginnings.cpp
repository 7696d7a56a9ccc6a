#include "engine/sampling/steering/beginnings.h"

#include <algorithm>
#include <queue>

#include "engine/require.h"
#include "engine/sampling/steering/context_set.h"

namespace namegen::sampling {

namespace {

// A beginning that waits to be followed.
struct Candidate {
  double probability;
  int64_t number;  // in the order in which they were found
  Key context;
  int32_t state;
  int64_t length;
  int64_t place;  // where its parent's link to it stands; -1 for the start
};

struct LikeliestFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.probability != b.probability ? a.probability < b.probability : a.number > b.number;
  }
};

}  // namespace

Beginnings::Beginnings(const std::shared_ptr<const Predictor>& predictor, Shaping shaping, const Automaton& automaton,
                       const std::vector<int32_t>& prefix, int64_t letters, int64_t most, const Poll& poll)
    : vocab_(predictor->vocab()), automaton_(automaton) {
  check_automaton(automaton);
  require(automaton.vocab == vocab_, "the automaton must have the model's symbols");
  require(most >= 1 && most <= int64_t{1} << 24, "most must lie from 1 to 2^24 beginnings");
  check_prefix(prefix, vocab_);
  ContextRows rows(predictor, shaping);
  std::priority_queue<Candidate, std::vector<Candidate>, LikeliestFirst> waiting;
  waiting.push({1.0, 0, rows.start(prefix), 0, 0, -1});
  int64_t found = 1;
  std::vector<Candidate> taken;
  std::vector<Key> contexts;
  while (!waiting.empty() && size() < most) {
    taken.clear();
    contexts.clear();
    const int64_t room = std::min(Predictions::kMostContexts, most - size());
    while (!waiting.empty() && static_cast<int64_t>(taken.size()) < room) {
      taken.push_back(waiting.top());
      contexts.push_back(waiting.top().context);
      waiting.pop();
    }
    const int64_t begin = size(), count = static_cast<int64_t>(taken.size());
    probabilities_.resize((begin + count) * vocab_);
    const bool without_end = begin == 0 && prefix.empty();
    rows.probabilities(contexts.data(), count, without_end, &probabilities_[begin * vocab_]);
    child_.resize((begin + count) * vocab_, -1);
    for (const Candidate& candidate : taken) {
      const int64_t own = size();
      state_.push_back(candidate.state);
      length_.push_back(candidate.length);
      bound_.push_back(0);
      if (candidate.place >= 0) child_[candidate.place] = static_cast<int32_t>(own);
      for (int64_t symbol = 1; symbol < vocab_ && candidate.length < letters; ++symbol) {
        const int32_t next = automaton.after(candidate.state, symbol);
        const double probability = candidate.probability * probabilities_[own * vocab_ + symbol];
        if (next < 0 || probability == 0) continue;
        const Key context = rows.append(candidate.context, static_cast<uint32_t>(symbol));
        waiting.push({probability, found++, context, next, candidate.length + 1, own * vocab_ + symbol});
      }
    }
    poll();
  }
  set_bounds(automaton, letters);
}

// A beginning comes after its parent, so that bounds are found from the last to the first.
void Beginnings::set_bounds(const Automaton& automaton, int64_t letters) {
  const int64_t symbols = vocab_ + 1;
  thresholds_ = AlignedArray<uint32_t>(size() * row_width(symbols));
  last_ = AlignedArray<int32_t>(size());
  rows_ = {thresholds_.data(), last_.data(), row_width(symbols)};
  std::vector<double> cumulative(symbols);
  for (int64_t own = size() - 1; own >= 0; --own) {
    const double* p = &probabilities_[own * vocab_];
    double sum = automaton.accepted[state_[own]] != 0 ? p[0] : 0.0;
    cumulative[0] = sum;
    for (int64_t symbol = 1; symbol < vocab_; ++symbol) {
      if (length_[own] < letters && automaton.after(state_[own], symbol) >= 0) {
        const int32_t child = child_[own * vocab_ + symbol];
        sum += p[symbol] * (child >= 0 ? bound_[child] : 1.0);
      }
      cumulative[symbol] = sum;
    }
    bound_[own] = sum;
    for (double& value : cumulative) value = sum > 0 ? value / sum : 0.0;
    cumulative[vocab_] = 1;
    sampling_kernels().cumulative_to_rows({cumulative.data(), 1, symbols, rows_, own});
  }
  probabilities_ = {};
}

}  // namespace namegen::sampling
