// The GPT's decoder and the predictor on it: what comes of a prefix does not depend on what is computed beside it, or
// on what was forgotten. (tests/sampling/test_gpt.py holds the names against Python's.)
#include <algorithm>
#include <map>
#include <stdexcept>

#include "engine/sampling/context_tree.h"
#include "engine/sampling/gpt_predictor.h"
#include "engine/sampling/prefix_rows.h"
#include "engine/sampling/sampling_kernels.h"
#include "support.h"

using namespace namegen;
using namespace namegen::test;
using namespace namegen::sampling;

namespace {

constexpr engine::GptNetwork kNetwork{9, 6, 12, 2, 3, 20, false, 1e-5};

template <class T>
std::shared_ptr<const GptPredictor> make_predictor(const engine::GptNetwork& network, int64_t row_bytes) {
  std::mt19937 generator(3);
  const auto shapes = engine::make_gpt_decoder(network, dtype_of<T>());
  std::vector<std::vector<T>> values;
  std::vector<GptParameter> parameters;
  for (int64_t p = 0; p < shapes->parameter_count(); ++p) {
    const engine::ParameterShape shape = shapes->parameter_shape(p);
    values.push_back(random_values<T>(shape.rows * shape.columns, generator));
    parameters.push_back({nullptr, shape.rows, shape.columns});
  }
  for (size_t p = 0; p < values.size(); ++p) parameters[p].data = values[p].data();
  return std::make_shared<GptPredictor>(network, dtype_of<T>(), parameters, row_bytes);
}

std::vector<Key> random_contexts(const Predictor& predictor, int64_t count) {
  std::mt19937 generator(4);
  std::vector<Key> contexts;
  for (int64_t i = 0; i < count; ++i) {
    Key context = 0;
    const auto length = static_cast<int64_t>(generator() % (predictor.block() + 3));  // some are windows
    for (int64_t j = 0; j < length; ++j) {
      context = predictor.append(context, 1 + static_cast<uint32_t>(generator() % (predictor.vocab() - 1)));
    }
    contexts.push_back(context);
  }
  return contexts;
}

std::vector<float> logits_of(const std::shared_ptr<const GptPredictor>& predictor, const std::vector<Key>& contexts,
                             int64_t at_a_time) {
  const std::unique_ptr<Predictions> predictions = predictor->start(predictor);
  std::vector<float> result;
  const auto count = static_cast<int64_t>(contexts.size());
  for (int64_t first = 0; first < count; first += at_a_time) {
    const int64_t n = std::min(at_a_time, count - first);
    const float* found = predictions->logits(&contexts[first], n);
    for (int64_t i = 0; i < n; ++i) {
      const float* row = found + i * padded(predictor->vocab());
      result.insert(result.end(), row, row + predictor->vocab());
      for (int64_t j = predictor->vocab(); j < padded(predictor->vocab()); ++j) check(row[j] == 0, "padding");
    }
  }
  return result;
}

// Whatever stands beside a context, and however few rows there are, its logits have the same bits.
template <class T>
void test_bits() {
  const auto roomy = make_predictor<T>(kNetwork, GptPredictor::kRowBytes);
  const std::vector<Key> contexts = random_contexts(*roomy, 700);
  const std::vector<float> expected = logits_of(roomy, contexts, 256);
  for (const int64_t at_a_time : {1, 7, 100}) check(logits_of(roomy, contexts, at_a_time) == expected, "grouping");
  for (const int64_t rows : {0, 13, 40, 200}) {
    const auto narrow = make_predictor<T>(kNetwork, rows * roomy->decoder().row_bytes());
    check(narrow->most_rows() == std::max<int64_t>(rows, 2 * kNetwork.block), "the bound on rows");
    check(logits_of(narrow, contexts, 256) == expected, "forgotten rows");
  }
}

// A dictionary of prefixes: what is found must be what was added, and what was used last must stay.
void test_prefix_rows() {
  constexpr int64_t kCapacity = 50, kLength = 5;
  PrefixRows prefixes(kCapacity);
  std::mt19937 generator(5);
  std::map<int32_t, std::vector<int32_t>> prefix_of_row;
  for (int call = 0; call < 3000; ++call) {
    prefixes.make_room(2 * kLength);
    check(prefixes.size() + 2 * kLength <= kCapacity, "room");
    std::vector<int32_t> used;
    for (int i = 0; i < 2; ++i) {
      int32_t row = PrefixRows::kNone;
      std::vector<int32_t> prefix;
      for (int64_t depth = 0; depth < kLength; ++depth) {
        const auto symbol = static_cast<int32_t>(generator() % 3);
        prefix.push_back(symbol);
        int32_t next = prefixes.find(row, symbol);
        if (next == PrefixRows::kNone) {
          next = prefixes.add(row, symbol);
          check(std::find(used.begin(), used.end(), next) == used.end(), "a row in use was given away");
          prefix_of_row[next] = prefix;
        }
        check(prefix_of_row[next] == prefix, "a row of another prefix");
        used.push_back(row = next);
      }
    }
    // All that was used in this call is there until the next.
    for (const int32_t row : used) {
      int32_t at = PrefixRows::kNone;
      for (const int32_t symbol : prefix_of_row[row]) at = prefixes.find(at, symbol);
      check(at == row, "a prefix in use was forgotten");
    }
  }
}

void test_context_tree() {
  ContextTree tree;
  std::map<std::vector<int64_t>, Key> keys;
  std::mt19937 generator(6);
  for (int i = 0; i < 2000; ++i) {
    std::vector<int64_t> window(generator() % 7 + 1);
    for (int64_t& symbol : window) symbol = static_cast<int64_t>(generator() % 3);
    const Key key = tree.context_of_window(window.data(), static_cast<int64_t>(window.size()));
    // Behind the last 0 of a window, or the whole of it.
    auto start = window.end();
    while (start != window.begin() && *(start - 1) != 0) --start;
    const bool holds_start = start != window.begin();
    std::vector<int64_t> symbols(start, window.end());
    if (holds_start) symbols.insert(symbols.begin(), 0);
    const auto known = keys.emplace(symbols, key);
    check(known.first->second == key, "one key for each context");
    std::vector<int32_t> last(4);
    const int64_t count = tree.last_symbols(key, 4, last.data());
    check(count == std::min<int64_t>(4, static_cast<int64_t>(symbols.size())), "as many symbols as there are");
    check(std::equal(symbols.end() - count, symbols.end(), last.begin()), "the last symbols");
  }
  const Key last = keys.rbegin()->second;
  std::vector<int32_t> before(7), after(7);
  const int64_t count = tree.last_symbols(last, 5, before.data());
  const Key kept = tree.forget_but(last, 5);
  check(tree.last_symbols(kept, 5, after.data()) == count && before == after, "the context that is kept");
  std::map<Key, int> distinct;
  for (const auto& entry : keys) ++distinct[entry.second];
  check(distinct.size() == keys.size(), "different keys for different contexts");
}

template <class Call>
void check_throws(const Call& call, const std::string& message) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return check(error.what() == message, std::string("got: ") + error.what());
  }
  check(false, "no error: " + message);
}

void test_errors() {
  const std::vector<float> values(9 * 12);
  const std::vector<GptParameter> few = {{values.data(), 9, 12}, {values.data(), 6, 12}};
  check_throws([&] { GptPredictor(kNetwork, DType::kFloat32, few); }, "parameters must be 29, but are 2");
  engine::GptNetwork deep = kNetwork;
  deep.layers = INT32_MAX;
  check_throws([&] { GptPredictor(deep, DType::kFloat32, few); }, "there must be parameters for each layer");
}

}  // namespace

int main() {
  test_prefix_rows();
  test_context_tree();
  test_bits<float>();
  test_bits<double>();
  test_errors();
  return result("gpt decoder");
}
