// Mixtures of predictors against slow definitions: logits, names of a list made rarer, and the names that are drawn.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include "engine/sampling/counts_predictor.h"
#include "engine/sampling/direct_sampler.h"
#include "engine/sampling/mixture.h"
#include "engine/sampling/network.h"
#include "engine/sampling/table_sampler.h"
#include "support.h"

using namespace namegen;
using namespace namegen::sampling;
using namespace namegen::test;

namespace {

constexpr int64_t kVocab = 5;
using Symbols = std::vector<int64_t>;

// Counts of some names over the symbols 1 to 4.
const std::vector<Symbols> kNames{{1, 2}, {1, 2, 3}, {2, 1, 1, 4}, {3}, {1, 4, 1, 2, 2, 1}, {4, 4}};

std::shared_ptr<const CountsPredictor> counts_of(int64_t order) {
  std::vector<int32_t> text;
  std::vector<int32_t> place;
  for (const Symbols& name : kNames) {
    for (size_t i = 0; i <= name.size(); ++i) {
      text.push_back(i < name.size() ? static_cast<int32_t>(name[i]) : 0);
      place.push_back(static_cast<int32_t>(i));
    }
  }
  std::vector<counts::Example> examples;
  for (size_t i = 0; i < text.size(); ++i) examples.push_back({{text.data() + i, place[i]}, text[i], 1});
  const counts::ContextTrie trie = counts::build_trie(examples, kVocab, order, counts::Start::kPadded);
  return std::make_shared<CountsPredictor>(std::make_shared<counts::CountModel>(trie, counts::witten_bell(trie)));
}

std::shared_ptr<const Network> perceptron(int64_t block, uint32_t seed) {
  std::mt19937 generator(seed);
  const int64_t embed = 3, hidden = 7;
  std::vector<Level> levels{{block, embed, hidden, random_values<float>(block * embed * hidden, generator),
                             random_values<float>(hidden, generator), true},
                            {1, hidden, kVocab, random_values<float>(hidden * kVocab, generator),
                             random_values<float>(kVocab, generator), false}};
  return std::make_shared<Network>(kVocab, embed, random_values<float>(kVocab * embed, generator), levels);
}

Symbols window(const Symbols& before, int64_t width) {
  Symbols result(width, 0);
  for (int64_t i = 0; i < width && i < static_cast<int64_t>(before.size()); ++i) {
    result[width - 1 - i] = before[before.size() - 1 - i];
  }
  return result;
}

std::vector<double> logits_of(const std::shared_ptr<const Predictor>& predictor, const Symbols& symbols) {
  const Key context = predictor->context_of_window(symbols.data(), static_cast<int64_t>(symbols.size()));
  const std::unique_ptr<Predictions> predictions = predictor->start(predictor);
  const float* row = predictions->logits(&context, 1);
  return {row, row + kVocab};
}

std::vector<double> softmax(std::vector<double> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (double& x : logits) total += x = std::exp(x - largest);
  for (double& x : logits) x /= total;
  return logits;
}

void compare(const std::vector<double>& found, const std::vector<double>& expected, const std::string& what) {
  for (int64_t j = 0; j < kVocab; ++j) check(std::abs(found[j] - expected[j]) <= 2e-6, what);
}

void test_counts_predictor() {
  for (const int64_t order : {1, 2, 4}) {
    const auto predictor = counts_of(order);
    std::vector<int64_t> path(order + 1);
    std::vector<double> expected(kVocab);
    for (const Symbols& before : {Symbols{}, Symbols{1}, Symbols{1, 2}, Symbols{3, 3, 3, 3, 3}, Symbols{2, 1, 1, 4}}) {
      const Symbols symbols = window(before, order);
      const std::vector<int32_t> narrow(symbols.begin(), symbols.end());
      predictor->model().distribution({narrow.data() + order, static_cast<int32_t>(order)}, path.data(),
                                      expected.data());
      std::vector<double> found = logits_of(predictor, symbols);
      for (double& x : found) x = std::exp(x);  // they are logarithms of probabilities
      compare(found, expected, "counts: probabilities");
    }
  }
}

struct Case {
  std::vector<std::shared_ptr<const Predictor>> components;
  std::vector<double> weights;

  std::shared_ptr<const Mixture> mixture(int64_t block, KnownNames known = {}) const {
    std::vector<Mixture::Component> parts;
    for (size_t i = 0; i < components.size(); ++i) parts.push_back({components[i], weights[i]});
    return std::make_shared<Mixture>(std::move(parts), block, std::move(known));
  }
  std::vector<double> slow_logits(const Symbols& before) const {
    std::vector<double> sum(kVocab, 0);
    for (size_t i = 0; i < components.size(); ++i) {
      const std::vector<double> own = logits_of(components[i], window(before, components[i]->block()));
      for (int64_t j = 0; j < kVocab; ++j) sum[j] += weights[i] * own[j];
    }
    return sum;
  }
};

const Case& example() {
  static const Case made{{counts_of(4), perceptron(3, 5), perceptron(2, 6)}, {0.6, 0.35, 0.2}};
  return made;
}

// All names up to a length, shortest first.
void for_each_beginning(int64_t length, const std::function<void(const Symbols&)>& visit, Symbols so_far = {}) {
  visit(so_far);
  if (static_cast<int64_t>(so_far.size()) == length) return;
  for (int64_t symbol = 1; symbol < kVocab; ++symbol) {
    so_far.push_back(symbol);
    for_each_beginning(length, visit, so_far);
    so_far.pop_back();
  }
}

void test_sum() {
  const auto mixture = example().mixture(6);
  for_each_beginning(5, [&](const Symbols& before) {
    compare(softmax(logits_of(mixture, window(before, 6))), softmax(example().slow_logits(before)), "mixture: logits");
  });
}

// The tree of kNames by its definition: nodes breadth first, children by their symbols.
KnownNames known_names(std::map<Symbols, double>& adjustment_of) {
  std::set<Symbols> level;
  std::vector<Symbols> nodes{{}};
  KnownNames known;
  for (size_t n = 0; n < nodes.size(); ++n) {
    const Symbols node = nodes[n];
    if (!node.empty() && node.back() == 0) continue;
    std::set<int64_t> children;
    for (const Symbols& name : kNames) {
      if (name.size() < node.size() || !std::equal(node.begin(), node.end(), name.begin())) continue;
      children.insert(name.size() == node.size() ? 0 : name[node.size()]);
    }
    for (const int64_t symbol : children) {
      Symbols child = node;
      child.push_back(symbol);
      known.keys.push_back(static_cast<int64_t>(n) * kVocab + symbol);
      const double adjustment = -0.25 * static_cast<double>(known.keys.size());
      known.adjustments.push_back(static_cast<float>(adjustment));
      adjustment_of[child] = adjustment;
      nodes.push_back(child);
    }
  }
  return known;
}

std::vector<double> slow_known_logits(const Symbols& before, const std::map<Symbols, double>& adjustment_of) {
  std::vector<double> logits = example().slow_logits(before);
  const bool is_known = before.empty() || adjustment_of.count(before) > 0;
  for (int64_t symbol = 0; symbol < kVocab && is_known; ++symbol) {
    Symbols longer = before;
    longer.push_back(symbol);
    const auto found = adjustment_of.find(longer);
    if (found != adjustment_of.end()) logits[symbol] += found->second;
  }
  return logits;
}

void test_known_names() {
  std::map<Symbols, double> adjustment_of;
  const KnownNames known = known_names(adjustment_of);
  const auto mixture = example().mixture(8, known);
  check(mixture->has_states() && mixture->block() == 4, "a mixture with known names has states");
  for_each_beginning(7, [&](const Symbols& before) {
    compare(softmax(logits_of(mixture, window(before, 8))), softmax(slow_known_logits(before, adjustment_of)),
            "known names: logits");
  });
  // A window that is full does not hold the start of its name: nothing is known of it.
  compare(softmax(logits_of(mixture, {1, 2, 1, 2, 1, 2, 1, 2})), softmax(example().slow_logits({1, 2, 1, 2})),
          "known names: a window without a start");
}

void test_drawing() {
  std::map<Symbols, double> adjustment_of;
  const KnownNames known = known_names(adjustment_of);
  const auto mixture = example().mixture(8, known);
  const Spelling spelling{{"", "a", "b", "c", "d"}, {}, 12};
  const int64_t count = 40000;
  std::string text;
  DirectSampler(mixture, {1.0, kVocab}, spelling).draw(7, 0, count, text, [] {});
  std::map<std::string, int64_t> drawn;
  for (size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    ++drawn[text.substr(begin, text.find('\n', begin) - begin)];
  }
  // How often the likeliest names ought to come, by the definition; no name is empty.
  for_each_beginning(3, [&](const Symbols& name) {
    if (name.empty()) return;
    double probability = 1;
    std::string spelt;
    for (size_t i = 0; i <= name.size(); ++i) {
      std::vector<double> p = softmax(slow_known_logits({name.begin(), name.begin() + i}, adjustment_of));
      const double total = i == 0 ? 1 - p[0] : 1;
      probability *= p[i < name.size() ? name[i] : 0] / total;
      if (i < name.size()) spelt += spelling.encodings[name[i]];
    }
    const double expected = probability * double(count);
    // Six standard deviations, of a number of names that is 0.5 off by rounding.
    check(std::abs(double(drawn[spelt]) - expected) <= 6 * std::sqrt(expected) + 0.5,
          "names are drawn as often: " + spelt);
  });
  std::string parts;
  DirectSampler sampler(mixture, {1.0, kVocab}, spelling);
  for (int64_t first = 0; first < count; first += 1000) sampler.copy()->draw(7, first, 1000, parts, [] {});
  check(parts == text, "names depend on their numbers alone");
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
  std::map<Symbols, double> adjustment_of;
  const KnownNames good = known_names(adjustment_of);
  const auto with = [&](const char* what, const std::function<void(KnownNames&)>& change) {
    KnownNames known = good;
    change(known);
    refused(what, [&] { example().mixture(8, known); });
  };
  with("keys in disorder", [](KnownNames& k) { std::swap(k.keys[0], k.keys[1]); });
  with("a key twice", [](KnownNames& k) { k.keys[1] = k.keys[0]; });
  with("a negative key", [](KnownNames& k) { k.keys[0] = -1; });
  with("a parent that comes later", [](KnownNames& k) { k.keys.back() = 1000 * kVocab + 1; });
  with("a symbol behind an end", [](KnownNames& k) {
    const auto end = std::find_if(k.keys.begin(), k.keys.end(), [](int64_t key) { return key % kVocab == 0; });
    k.keys.push_back((end - k.keys.begin() + 1) * kVocab + 1);
    std::sort(k.keys.begin(), k.keys.end());
    k.adjustments.push_back(0);
  });
  with("too few adjustments", [](KnownNames& k) { k.adjustments.pop_back(); });
  with("an adjustment that is not finite",
       [](KnownNames& k) { k.adjustments[0] = -std::numeric_limits<float>::infinity(); });
  refused("a block below a component's", [] { example().mixture(3); });
  refused("no components", [] { Mixture({}, 4, {}); });
  refused("a weight that is not finite",
          [] { Mixture({{counts_of(2), std::numeric_limits<double>::quiet_NaN()}}, 4, {}); });
  refused("components of two vocabularies", [] {
    std::mt19937 generator(1);
    const auto other = std::make_shared<Network>(Network::of_table(3, 1, random_values<float>(9, generator).data()));
    Mixture({{counts_of(2), 0.5}, {other, 0.5}}, 4, {});
  });
  const auto mixture = example().mixture(8, good);
  refused("a mixture with states as a component", [&] { Mixture({{mixture, 1.0}}, 8, {}); });
  refused("a table of a mixture with states", [&] { ContextTable(mixture, {1.0, kVocab}, [] {}); });
}

// A counting model of few contexts is tabulated as a network is.
void test_table() {
  const auto predictor = counts_of(2);
  const Spelling spelling{{"", "a", "b", "c", "d"}, {}, 12};
  std::string direct, tabulated;
  DirectSampler(predictor, {0.8, 4}, spelling).draw(3, 0, 500, direct, [] {});
  const auto table = std::make_shared<ContextTable>(predictor, Shaping{0.8, 4}, [] {});
  TableSampler(table, spelling).draw(3, 0, 500, tabulated, [] {});
  check(direct == tabulated, "counts: the same names from a table");
}

}  // namespace

int main() {
  test_counts_predictor();
  test_sum();
  test_known_names();
  test_drawing();
  test_refusals();
  test_table();
  return result("mixture");
}
