// Counting models against slow definitions over maps: the trie, the three estimators, what is evident of held-out
// symbols; and arrays that no trie is made of.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include "engine/counts/count_model.h"
#include "support.h"

using namespace namegen;
using namespace namegen::counts;
using namespace namegen::test;

namespace {

using History = std::vector<int32_t>;                         // newest symbol first
using Counts = std::map<History, std::map<int32_t, double>>;  // a map for each context that occurred

// Names over the symbols 1 to vocab - 1, each with a 0 behind it.
struct Text {
  std::vector<int32_t> symbols;
  std::vector<Example> examples;

  Text(int64_t names, int64_t vocab, int longest, uint32_t seed, int64_t largest_count = 1) {
    std::mt19937 generator(seed);
    std::vector<int32_t> place;
    for (int64_t name = 0; name < names; ++name) {
      const int length = static_cast<int>(generator() % static_cast<uint32_t>(longest + 1));
      for (int i = 0; i <= length; ++i) {
        // Small symbols are likelier, so that contexts repeat.
        const auto limit = 1 + generator() % static_cast<uint32_t>(vocab - 1);
        symbols.push_back(i == length ? 0 : static_cast<int32_t>(1 + generator() % limit));
        place.push_back(i);
      }
    }
    for (size_t i = 0; i < symbols.size(); ++i) {
      const auto count = static_cast<double>(1 + generator() % static_cast<uint32_t>(largest_count));
      examples.push_back({{symbols.data() + i, place[i]}, symbols[i], count});
    }
  }
};

History history(const Context& context, int64_t length) {
  History result;
  for (int64_t age = 0; age < length; ++age) result.push_back(context.symbol(age));
  return result;
}

// How long a context that is in a trie may be: all of order, or up to its first 0.
bool belongs(const History& h, Start start) {
  return start == Start::kPadded || h.empty() || std::find(h.begin(), h.end(), 0) >= h.end() - 1;
}

Counts count_slowly(const std::vector<Example>& examples, int64_t order, Start start) {
  Counts counts;
  counts[{}];
  for (const Example& example : examples) {
    for (int64_t length = 0; length <= order; ++length) {
      const History h = history(example.context, length);
      if (belongs(h, start)) counts[h][example.target] += example.count;
    }
  }
  return counts;
}

double sum(const std::map<int32_t, double>& counts) {
  double total = 0;
  for (const auto& [symbol, count] : counts) total += count;
  return total;
}

// In how many contexts that are longer by one symbol each symbol followed; how often, where there is none longer.
std::map<int32_t, double> continuations(const Counts& counts, const History& h, int64_t vocab) {
  std::map<int32_t, double> result;
  bool can_be_longer = false;
  for (int32_t older = 0; older < vocab; ++older) {
    History longer = h;
    longer.push_back(older);
    const auto found = counts.find(longer);
    if (found == counts.end()) continue;
    can_be_longer = true;
    for (const auto& [symbol, count] : found->second) ++result[symbol];
  }
  return can_be_longer ? result : counts.at(h);
}

// P(symbol | h) by the definition of an estimator: `own` gives, for one context that occurred, what it adds to a
// symbol's probability and what it leaves to the shorter one.
using Own = std::function<std::pair<double, double>(const History&, int32_t)>;

double probability_slowly(const Counts& counts, const Context& context, int32_t symbol, int64_t order, Start start,
                          int64_t vocab, const Own& own) {
  double probability = 1.0 / double(vocab);
  for (int64_t length = 0; length <= order; ++length) {
    const History h = history(context, length);
    const auto found = counts.find(h);
    if (!belongs(h, start) || found == counts.end() || found->second.empty()) continue;
    const auto [gain, backoff] = own(h, symbol);
    probability = gain + backoff * probability;
  }
  return probability;
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-13; }

void test_trie(int64_t vocab, int64_t order, Start start, const Text& text) {
  const ContextTrie trie = build_trie(text.examples, vocab, order, start);
  check_trie(trie);
  const Counts counts = count_slowly(text.examples, order, start);
  check(trie.nodes() == static_cast<int64_t>(counts.size()), "a node for each context that occurred");
  int64_t pairs = 0;
  std::vector<int64_t> path(order + 1);
  for (const auto& [h, followed] : counts) {
    pairs += static_cast<int64_t>(followed.size());
    const std::vector<int32_t> oldest_first(h.rbegin(), h.rend());
    const Context context{oldest_first.data() + oldest_first.size(), static_cast<int32_t>(h.size())};
    const int64_t length = trie.find(context, path.data());
    check(length >= static_cast<int64_t>(h.size()) + 1, "every context is found");
    const int64_t node = path[h.size()];
    check(trie.first_pair[node + 1] - trie.first_pair[node] == static_cast<int64_t>(followed.size()),
          "as many symbols as followed");
    for (const auto& [symbol, count] : followed) {
      const int64_t pair = trie.pair(node, symbol);
      check(pair >= 0 && trie.pair_count[pair] == count, "how often each followed");
    }
    check(trie.pair(node, static_cast<int32_t>(vocab)) == -1, "what never followed has no pair");
  }
  check(trie.pairs() == pairs, "no other pairs");

  std::vector<Example> shuffled = text.examples;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(3));
  const ContextTrie other = build_trie(shuffled, vocab, order, start);
  check(other.oldest_symbol == trie.oldest_symbol && other.first_child == trie.first_child &&
            other.first_pair == trie.first_pair && other.pair_symbol == trie.pair_symbol &&
            other.pair_count == trie.pair_count,
        "the order of examples has no influence");
}

void test_estimator(const char* name, const ContextTrie& trie, const Smoothed& smoothed, const Counts& counts,
                    const Text& held_out, const Own& own) {
  const CountModel model(trie, smoothed);
  std::vector<int64_t> path(trie.order + 1);
  std::vector<double> probabilities(trie.vocab);
  std::vector<float> in_float32(trie.vocab);
  for (const Example& example : held_out.examples) {
    model.distribution(example.context, path.data(), probabilities.data());
    model.distribution(example.context, path.data(), in_float32.data());
    double total = 0;
    for (int32_t symbol = 0; symbol < trie.vocab; ++symbol) {
      const double expected =
          probability_slowly(counts, example.context, symbol, trie.order, trie.start, trie.vocab, own);
      check(close(probabilities[symbol], expected), std::string(name) + ": distribution");
      check(close(model.probability(example.context, symbol, path.data()), expected), std::string(name) + ": one");
      total += probabilities[symbol];
      // A rounding for each length of context, of numbers up to 1.
      check(std::abs(double(in_float32[symbol]) - expected) <= 0x1p-23 * double(trie.order + 2),
            std::string(name) + ": float32");
    }
    check(close(total, 1), std::string(name) + ": the sum is 1");
  }
}

void test_estimators(int64_t vocab, int64_t order, uint32_t seed) {
  const Text text(60, vocab, 6, seed, 4), held_out(12, vocab, 8, seed + 1);
  const ContextTrie padded = build_trie(text.examples, vocab, order, Start::kPadded);
  const Counts counts = count_slowly(text.examples, order, Start::kPadded);
  for (double k : {0.0, 0.1, 2.0}) {
    test_estimator("add-k", padded, add_k(padded, k), counts, held_out, [&](const History& h, int32_t symbol) {
      if (static_cast<int64_t>(h.size()) < order) return std::make_pair(0.0, 1.0);
      const auto& followed = counts.at(h);
      const double all = double(sum(followed)) + k * double(vocab);
      const auto found = followed.find(symbol);
      const double count = found == followed.end() ? 0.0 : double(found->second);
      return std::make_pair((count + k) / all, 0.0);
    });
  }
  test_estimator("Witten-Bell", padded, witten_bell(padded), counts, held_out, [&](const History& h, int32_t symbol) {
    const auto& followed = counts.at(h);
    const auto found = followed.find(symbol);
    const double count = found == followed.end() ? 0.0 : double(found->second), distinct = double(followed.size());
    const double all = double(sum(followed)) + distinct;
    return std::make_pair(count / all, distinct / all);
  });

  KneserNeyParameters parameters;
  for (int64_t length = 0; length <= order; ++length) {
    const double step = 0.05 * double(length);
    parameters.discounts.insert(parameters.discounts.end(), {0.4 + step, 0.9 + step, 1.3 + step});
    parameters.concentrations.push_back(0.3 * double(length));
  }
  const ContextTrie once = build_trie(text.examples, vocab, order, Start::kOnce);
  const Counts of_once = count_slowly(text.examples, order, Start::kOnce);
  const ContinuationCounts continuation = continuation_counts(once);
  const auto own = [&](const History& h, int32_t symbol) {
    const auto n = continuations(of_once, h, vocab);
    const double* discount = parameters.discounts.data() + 3 * h.size();
    const double theta = parameters.concentrations[h.size()];
    double taken = theta;
    for (const auto& [other, count] : n) taken += discount[std::min<int64_t>(count, 3) - 1];
    const double all = double(sum(n)) + theta;
    const auto found = n.find(symbol);
    const double count =
        found == n.end() ? 0.0 : double(found->second) - discount[std::min<int64_t>(found->second, 3) - 1];
    return std::make_pair(count / all, taken / all);
  };
  test_estimator("Kneser-Ney", once, kneser_ney(once, parameters), of_once, held_out, own);

  std::vector<int64_t> path(order + 1);
  std::vector<Evidence> evidence(order + 1);
  for (const Example& example : held_out.examples) {
    find_evidence(once, continuation, example.context, example.target, path.data(), evidence.data());
    for (int64_t length = 0; length <= order; ++length) {
      const History h = history(example.context, length);
      const bool occurred = belongs(h, Start::kOnce) && of_once.count(h) > 0;
      const auto n = occurred ? continuations(of_once, h, vocab) : std::map<int32_t, double>();
      const Evidence& e = evidence[length];
      const auto found = n.find(example.target);
      int64_t classes[3] = {};
      for (const auto& [symbol, count] : n) ++classes[std::min<int64_t>(count, 3) - 1];
      check(e.total == double(sum(n)) && e.count == (found == n.end() ? 0.0 : double(found->second)),
            "evidence: counts");
      for (int i = 0; i < 3; ++i) check(e.classes[i] == double(classes[i]), "evidence: classes");
    }
  }
}

void refused(const char* what, const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return;
  }
  check(false, std::string(what) + " is refused");
}

void test_refusals() {
  const Text text(20, 5, 5, 9);
  const ContextTrie good = build_trie(text.examples, 5, 3, Start::kOnce);
  const auto broken = [&](const char* what, const std::function<void(ContextTrie&)>& change) {
    ContextTrie trie = good;
    change(trie);
    refused(what, [&] { check_trie(trie); });
  };
  broken("a symbol beyond vocab", [](ContextTrie& t) { t.oldest_symbol[1] = 5; });
  broken("a negative symbol", [](ContextTrie& t) { t.pair_symbol[0] = -1; });
  broken("children in disorder", [](ContextTrie& t) { std::swap(t.oldest_symbol[1], t.oldest_symbol[2]); });
  broken("pairs in disorder", [](ContextTrie& t) { std::swap(t.pair_symbol[0], t.pair_symbol[1]); });
  broken("a count of 0", [](ContextTrie& t) { t.pair_count[3] = 0; });
  broken("counts beyond 2^53", [](ContextTrie& t) { t.pair_count[0] = t.pair_count[1] = 0x1p53; });
  broken("a count that is not a number",
         [](ContextTrie& t) { t.pair_count[0] = std::numeric_limits<double>::quiet_NaN(); });
  broken("offsets that fall", [](ContextTrie& t) { t.first_child[2] = t.first_child[1] - 1; });
  broken("offsets beyond the nodes", [](ContextTrie& t) { t.first_child.back() += 1; });
  broken("a node that is its own child", [](ContextTrie& t) { t.first_child.assign(t.first_child.size(), 1); });
  broken("too few offsets", [](ContextTrie& t) { t.first_pair.pop_back(); });
  broken("too few counts", [](ContextTrie& t) { t.pair_count.pop_back(); });
  broken("contexts longer than order", [](ContextTrie& t) { t.order = 2; });
  broken("no nodes", [](ContextTrie& t) { t.oldest_symbol.clear(); });

  const int32_t symbols[] = {1, 2};
  const auto build = [&](int32_t target, double count, int64_t order) {
    return build_trie({{{symbols + 2, 2}, target, count}}, 3, order, Start::kPadded);
  };
  refused("a target beyond vocab", [&] { build(3, 1, 2); });
  refused("a negative target", [&] { build(-1, 1, 2); });
  refused("a count of 0", [&] { build(1, 0, 2); });
  refused("a negative order", [&] { build(1, 1, -1); });
  refused("a symbol beyond vocab", [&] { build_trie({{{symbols + 2, 2}, 1, 1.0}}, 2, 2, Start::kPadded); });
  refused("a negative k", [&] { add_k(good, -1); });
  refused("k that is not a number", [&] { add_k(good, std::numeric_limits<double>::quiet_NaN()); });
  refused("too few discounts", [&] { kneser_ney(good, {{0.5, 1, 1}, {0, 0, 0, 0}}); });
  refused("a discount above its count",
          [&] { kneser_ney(good, {{1.5, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0}}); });
  refused("a negative concentration", [&] { kneser_ney(good, {std::vector<double>(12, 0.5), {0, 0, -1, 0}}); });
  refused("gains of another trie", [&] { CountModel(good, Smoothed{{0.5}, {0.5}}); });
}

// No examples: the empty context alone, and even probabilities.
void test_nothing_counted() {
  for (const Start start : {Start::kPadded, Start::kOnce}) {
    const ContextTrie trie = build_trie({}, 4, 2, start);
    check_trie(trie);
    check(trie.nodes() == 1 && trie.pairs() == 0, "nothing counted: one node");
    std::vector<Smoothed> all{add_k(trie, 0), witten_bell(trie),
                              kneser_ney(trie, {std::vector<double>(9, 0.5), std::vector<double>(3, 1.0)})};
    for (Smoothed& smoothed : all) {
      const CountModel model(trie, smoothed);
      double probabilities[4];
      int64_t path[3];
      model.distribution({nullptr, 0}, path, probabilities);
      for (double p : probabilities) check(p == 0.25, "nothing counted: even");
    }
  }
}

}  // namespace

int main() {
  for (const Start start : {Start::kPadded, Start::kOnce}) {
    for (const int64_t order : {0, 1, 3, 7}) {
      test_trie(6, order, start, Text(50, 6, 7, static_cast<uint32_t>(order), 3));
    }
    test_trie(2, 4, start, Text(30, 2, 9, 11));
    test_trie(3000, 16, start, Text(80, 3000, 20, 12));  // more bits than a word has
  }
  for (const int64_t order : {0, 1, 2, 5}) test_estimators(5, order, 20 + static_cast<uint32_t>(order));
  test_estimators(40, 9, 30);
  test_nothing_counted();
  test_refusals();
  return result("counts");
}
