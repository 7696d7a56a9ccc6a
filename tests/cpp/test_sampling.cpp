// Whole names against a slow definition: names from a table and from a network, with the filters, and on threads.
#include <functional>
#include <set>
#include <stdexcept>
#include <unordered_set>

#include "engine/sampling/direct_sampler.h"
#include "engine/sampling/name_stream.h"
#include "engine/sampling/network.h"
#include "engine/sampling/table_sampler.h"
#include "support.h"

using namespace namegen;
using namespace namegen::sampling;
using namespace namegen::test;

namespace {

const Poll kNoPoll = [] {};

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    result.push_back(text.substr(begin, end - begin));
  }
  check(begin == text.size(), "the text ends with a newline");
  return result;
}

// The random word for one sample and step, by the kernel that test_sampling_kernels.cpp checks.
uint32_t word_of(uint64_t seed, uint64_t sample, int64_t step) {
  std::vector<uint32_t> words(4 * 16);
  const uint32_t slot = 0;
  sampling_kernels().philox_words({seed, sample, &slot, 1, static_cast<uint32_t>(step / 4), words.data(), 16});
  return words[step % 4 * 16];
}

// cumulative_of(context, first) gives the row to invert. The context is all symbols so far, with zeros before them.
using CumulativeOf = std::function<std::vector<double>(const std::vector<int32_t>&, bool)>;

std::string draw_slowly(const Spelling& spelling, int64_t block, const CumulativeOf& cumulative_of, uint64_t seed,
                        uint64_t sample) {
  std::vector<int32_t> symbols(block, 0);
  std::string name;
  for (int32_t symbol : spelling.prefix) {
    symbols.push_back(symbol);
    name += spelling.encodings[symbol];
  }
  for (int64_t step = 0; step < spelling.max_steps; ++step) {
    const std::vector<int32_t> context(symbols.end() - block, symbols.end());
    const std::vector<double> c = cumulative_of(context, step == 0 && spelling.prefix.empty());
    const double u = word_of(seed, sample, step) * 0x1p-32;
    int32_t symbol = 0;
    while (c[symbol] <= u) ++symbol;
    if (symbol == 0) break;
    symbols.push_back(symbol);
    name += spelling.encodings[symbol];
  }
  return name;
}

std::vector<double> cumulative_row(std::vector<double> weight, bool first) {
  if (first) weight[0] = 0;
  double sum = 0;
  for (double& w : weight) w = sum += w;
  for (double& w : weight) w /= sum;
  return weight;
}

Spelling spelling_of(int64_t vocab, bool ascii, std::vector<int32_t> prefix, int64_t max_steps) {
  Spelling spelling{{""}, std::move(prefix), max_steps};
  const std::string others[] = {"\u00e9", "\u540d", "\U0001f600"};
  for (int64_t symbol = 1; symbol < vocab; ++symbol) {
    spelling.encodings.push_back(ascii ? std::string(1, static_cast<char>('`' + symbol))
                                       : others[symbol % 3] + std::to_string(symbol));
  }
  return spelling;
}

std::shared_ptr<ContextTable> random_table(int64_t vocab, int64_t block, std::vector<std::vector<double>>& rows,
                                           std::mt19937& generator) {
  auto table = std::make_shared<ContextTable>(vocab, block);
  std::uniform_real_distribution<double> uniform;
  for (int64_t row = 0; row < table->num_rows(); ++row) {
    std::vector<double> weight(vocab);
    for (double& w : weight) w = uniform(generator) + 0.05;
    rows.push_back(cumulative_row(weight, row == table->num_rows() - 1));
    table->set_rows(row, 1, rows.back().data());
  }
  return table;
}

void test_table_sampler(std::mt19937& generator) {
  for (int64_t vocab : {2, 5, 20, 40}) {
    for (int64_t block : {1, 2, 3}) {
      if (vocab == 40 && block == 3) continue;
      std::vector<std::vector<double>> rows;
      const auto table = random_table(vocab, block, rows, generator);
      const CumulativeOf cumulative_of = [&](const std::vector<int32_t>& context, bool first) {
        int64_t row = 0;
        for (int32_t symbol : context) row = row * vocab + symbol;
        return rows[first ? rows.size() - 1 : row];
      };
      for (bool ascii : {true, false}) {
        if (ascii && vocab > 26) continue;
        for (int64_t max_steps : {1, 4, 6, 300}) {
          const auto prefix =
              max_steps == 6 ? std::vector<int32_t>{1, 1, static_cast<int32_t>(vocab - 1), 1} : std::vector<int32_t>{};
          const Spelling spelling = spelling_of(vocab, ascii, prefix, max_steps);
          TableSampler sampler(table, spelling);
          const uint64_t seed = generator(), first = 0xfffffff0u;  // the numbers of samples pass 2^32
          std::string text = "before\n";
          sampler.draw(seed, first, 600, text, kNoPoll);
          const std::vector<std::string> names = lines(text);
          check(names.size() == 601 && names[0] == "before", "600 names are appended");
          for (size_t i = 0; i + 1 < names.size(); i += i < 32 ? 1 : 37) {
            const std::string expected = draw_slowly(spelling, block, cumulative_of, seed, first + i);
            check(names[i + 1] == expected, "table: " + names[i + 1] + " is " + expected);
          }
        }
      }
    }
  }
}

Level random_level(int64_t factor, int64_t in, int64_t out, bool tanh, std::mt19937& generator) {
  Level level{factor, in, out, random_values<float>(out * factor * in, generator), random_values<float>(out, generator),
              tanh};
  for (float& w : level.weight) w *= 1.5f / std::sqrt(static_cast<float>(factor * in));
  return level;
}

// The network, computed in float64.
std::vector<double> logits_slowly(const std::vector<float>& embedding, int64_t dim, const std::vector<Level>& levels,
                                  const std::vector<int32_t>& context) {
  std::vector<double> x;
  for (int32_t symbol : context) x.insert(x.end(), &embedding[symbol * dim], &embedding[symbol * dim] + dim);
  for (const Level& level : levels) {
    const int64_t width = level.factor * level.in, positions = static_cast<int64_t>(x.size()) / width;
    std::vector<double> y;
    for (int64_t t = 0; t < positions; ++t) {
      for (int64_t o = 0; o < level.out; ++o) {
        double sum = level.bias[o];
        for (int64_t k = 0; k < width; ++k) sum += level.weight[o * width + k] * x[t * width + k];
        y.push_back(level.tanh ? std::tanh(sum) : sum);
      }
    }
    x = y;
  }
  return x;
}

void test_direct_sampler(std::mt19937& generator) {
  struct Case {
    int64_t vocab, dim;
    std::vector<std::vector<int64_t>> factor_and_width;
  };
  // The perceptron, with two hidden layers and without any. Trees. Groups by memo, by table, and of a large vocabulary.
  for (const Case& c : {Case{5, 3, {{3, 7}}}, Case{27, 10, {{3, 20}, {1, 17}}}, Case{6, 4, {{2}}},
                        Case{27, 6, {{2, 12}, {2, 20}, {2, 9}}}, Case{5, 3, {{1, 6}, {2, 5}, {1, 4}, {3, 8}}},
                        Case{5000, 2, {{2, 5}, {2, 6}}}}) {
    std::vector<Level> levels;
    int64_t in = c.dim, block = 1;
    for (const auto& level : c.factor_and_width) {
      if (level.size() == 2) levels.push_back(random_level(level[0], in, level[1], true, generator));
      block *= level[0];
      if (level.size() == 2) in = level[1];
    }
    const bool flat = c.factor_and_width[0].size() == 1;
    levels.push_back(random_level(flat ? block : 1, in, c.vocab, false, generator));
    const std::vector<float> embedding = random_values<float>(c.vocab * c.dim, generator);
    const auto network = std::make_shared<Network>(c.vocab, c.dim, embedding, levels);
    check(network->block() == block, "the block is the factors' product");

    // Some logits are asked for several times, among others.
    Evaluation evaluation(network);
    std::vector<std::vector<int32_t>> contexts;
    std::vector<Key> keys;
    for (int i = 0; i < 200; ++i) {
      std::vector<int32_t> context(block);
      for (int32_t& symbol : context) symbol = static_cast<int32_t>(generator() % (i % 2 == 0 ? 2 : c.vocab));
      Key key = 0;
      for (int32_t symbol : context) key = network->append(key, static_cast<uint32_t>(symbol));
      contexts.push_back(context);
      keys.push_back(key);
    }
    const int64_t stride = padded(c.vocab);
    const float* found = evaluation.logits(keys.data(), 200);
    const std::vector<float> together(found, found + 200 * stride);
    for (int i = 0; i < 200; i += 3) {
      const std::vector<double> exact = logits_slowly(embedding, c.dim, levels, contexts[i]);
      for (int64_t v = 0; v < c.vocab; v += 1 + c.vocab / 50) {
        check(std::abs(together[i * stride + v] - exact[v]) < 2e-5, "logits");  // values of about 3, 24 bits
      }
      const float* alone = evaluation.logits(&keys[i], 1);
      check(std::equal(alone, alone + c.vocab, &together[i * stride]), "logits do not depend on what is beside them");
    }

    // The names must be those that the definition makes of the network's own logits.
    if (c.vocab > 26 + 1) continue;
    const Shaping shaping{0.8, std::max<int64_t>(1, c.vocab - 2)};
    const CumulativeOf cumulative_of = [&](const std::vector<int32_t>& context, bool first) {
      Key key = 0;
      for (int32_t symbol : context) key = network->append(key, static_cast<uint32_t>(symbol));
      const float* logits = evaluation.logits(&key, 1);
      std::vector<double> weight(c.vocab);
      for (int64_t j = 0; j < c.vocab; ++j) {
        int64_t before = 0;
        for (int64_t i = first ? 1 : 0; i < c.vocab; ++i) before += logits[i] > logits[j];
        weight[j] = before < shaping.top_k ? std::exp(logits[j] / shaping.temperature) : 0;
      }
      return cumulative_row(weight, first);
    };
    for (const auto& prefix : {std::vector<int32_t>{}, std::vector<int32_t>{1, 2, 1}}) {
      const Spelling spelling = spelling_of(c.vocab, true, prefix, 40);
      DirectSampler sampler(network, shaping, spelling);
      std::string text, again;
      sampler.draw(9, 0, 2500, text, kNoPoll);
      sampler.copy()->draw(9, 100, 50, again, kNoPoll);
      const std::vector<std::string> names = lines(text), some = lines(again);
      for (int i = 0; i < 2500; i += 41) {
        const std::string expected = draw_slowly(spelling, block, cumulative_of, 9, i);
        check(names[i] == expected, "direct: " + names[i] + " is " + expected);
      }
      check(std::equal(some.begin(), some.end(), names.begin() + 100), "names depend on their numbers alone");
    }
  }
}

// Whether the rows of one set with these numbers are those of the other.
bool same_row(const Rows& a, int64_t i, const Rows& b, int64_t j) {
  const uint32_t *first = a.thresholds + i * a.width, *second = b.thresholds + j * b.width;
  return a.width == b.width && a.last[i] == b.last[j] && std::equal(first, first + a.width, second);
}

// Every row of a network's table must be what drawing directly computes, to the bit, whatever is computed beside it.
void test_tabulated_network(std::mt19937& generator) {
  std::vector<std::shared_ptr<const Network>> networks;
  for (const auto& [vocab, block] : {std::pair<int64_t, int64_t>{7, 3}, {2, 1}, {40, 2}}) {
    const std::vector<Level> levels = {random_level(block, 5, 19, true, generator),
                                       random_level(1, 19, vocab, false, generator)};
    networks.push_back(std::make_shared<Network>(vocab, 5, random_values<float>(vocab * 5, generator), levels));
    int64_t contexts = 1;
    for (int64_t i = 0; i < block; ++i) contexts *= vocab;
    const std::vector<float> logits = random_values<float>(contexts * vocab, generator);
    networks.push_back(std::make_shared<Network>(Network::of_table(vocab, block, logits.data())));

    const auto& table = networks.back();
    check(table->num_contexts() == contexts && table->block() == block, "sizes of a table of logits");
    Evaluation evaluation(table);
    for (int64_t i = 0; i < contexts; ++i) {
      const Key context = table->context_of(i);
      check(table->number_of(context) == i, "a context's number");
      const float* found = evaluation.logits(&context, 1);
      check(std::equal(found, found + vocab, &logits[i * vocab]), "the logits of a table are its rows");
    }
  }
  for (const auto& network : networks) {
    const int64_t vocab = network->vocab();
    for (const Shaping shaping : {Shaping{1.0, vocab}, Shaping{0.7, std::max<int64_t>(1, vocab - 2)}}) {
      const ContextTable table(network, shaping, kNoPoll);
      ContextRows context_rows(network, shaping);
      std::vector<uint32_t> thresholds(row_width(vocab));
      int32_t last = 0;
      const Rows one{thresholds.data(), &last, row_width(vocab)};
      const uint32_t place = 0;
      for (int64_t i = 0; i < table.num_rows(); ++i) {
        const bool is_first = i == table.num_rows() - 1;
        const Key context = network->context_of(is_first ? 0 : i);
        context_rows.compute(&context, 1, is_first, one, &place);
        check(same_row(table.rows(), i, one, 0), "a row of the table is that of its context alone");
      }
      const Spelling spelling = spelling_of(vocab, false, {}, 30);
      std::string by_table, directly;
      TableSampler(std::make_shared<ContextTable>(network, shaping, kNoPoll), spelling)
          .draw(5, 7, 3000, by_table, kNoPoll);
      DirectSampler(network, shaping, spelling).draw(5, 7, 3000, directly, kNoPoll);
      check(by_table == directly, "table and direct drawing give the same names");
    }
    bool stopped = false;
    try {
      ContextTable(network, {1.0, vocab}, [] { throw std::runtime_error("stop"); });
    } catch (const std::runtime_error&) {
      stopped = true;
    }
    check(stopped, "what poll throws ends the tabulating");
  }
  const std::vector<float> diverged = {0, 1, 2, NAN};
  bool refused = false;
  try {
    ContextTable(std::make_shared<Network>(Network::of_table(2, 1, diverged.data())), {1.0, 2}, kNoPoll);
  } catch (const NonFiniteLogits&) {
    refused = true;
  }
  check(refused, "logits that are not finite make no table");
}

void test_interrupted_sampler(std::mt19937& generator) {
  std::vector<Level> levels = {random_level(2, 4, 8, true, generator), random_level(1, 8, 10, false, generator)};
  const auto network = std::make_shared<Network>(10, 4, random_values<float>(40, generator), levels);
  const Spelling spelling = spelling_of(10, true, {}, 30);
  DirectSampler whole(network, {1.0, 10}, spelling), stopped(network, {1.0, 10}, spelling);
  std::string expected, text;
  whole.draw(3, 0, 1000, expected, kNoPoll);
  for (int polls = 0; polls < 12; ++polls) {
    int left = polls;
    bool thrown = false;
    try {
      stopped.draw(3, 0, 1000, text, [&] {
        if (left-- == 0) throw std::runtime_error("stop");
      });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    check(thrown, "what poll throws comes through");
    text.clear();
    stopped.draw(3, 0, 1000, text, kNoPoll);
    check(text == expected, "a sampler that was stopped goes on as any other");
  }
  levels[1].bias[3] = INFINITY;
  const auto diverged = std::make_shared<Network>(10, 4, random_values<float>(40, generator), levels);
  bool refused = false;
  try {
    DirectSampler(diverged, {1.0, 10}, spelling).draw(3, 0, 10, text, kNoPoll);
  } catch (const NonFiniteLogits&) {
    refused = true;
  }
  check(refused, "logits that are not finite are refused");
}

void test_memo(std::mt19937& generator) {
  Memo memo(50);
  std::vector<Key> keys;
  for (int step = 0; step < 5000; ++step) {
    Key key = generator() % 40;
    key |= Key{generator() % 3} << 100;
    if (memo.size() + 1 > memo.most_rows()) keys.clear();
    memo.make_room(1);
    const size_t place = std::find(keys.begin(), keys.end(), key) - keys.begin();
    check(memo.find_or_add(key) == place, "a key has its row, a new one the next");
    if (place == keys.size()) keys.push_back(key);
    check(memo.size() == static_cast<int64_t>(keys.size()) && memo.size() <= 50, "rows are counted");
  }
}

void test_name_set(std::mt19937& generator) {
  NameSet set;
  std::unordered_set<std::string> expected;
  for (int step = 0; step < 20000; ++step) {
    std::string text(generator() % 19, '\0');  // few letters: many names begin as others do
    for (char& letter : text) letter = static_cast<char>('a' + generator() % 2);
    const size_t size = text.size();
    text += "\nzzzzzzz";  // the slack, whose bytes must not matter
    const std::string_view name(text.data(), size);
    const uint64_t hash = NameSet::hash(name);
    const bool known = expected.count(std::string(name)) > 0;
    check(set.contains(name, hash) == known, "contains");
    check(set.add(name, hash) == !known, "add");
    // The bytes tell names of one hash apart.
    const std::string longer = std::string(name) + "x", same_length(size, 'x');
    check(!set.contains(longer, hash) && (size == 0 || !set.contains(same_length, hash)), "exact");
    expected.emplace(name);
  }
  check(set.size() == static_cast<int64_t>(expected.size()), "size");
}

void test_name_stream(std::mt19937& generator) {
  std::vector<std::vector<double>> rows;
  const auto table = random_table(4, 2, rows, generator);
  const Spelling spelling = spelling_of(4, true, {}, 5);
  std::string drawn;
  TableSampler(table, spelling).draw(5, 0, 60000, drawn, kNoPoll);
  const std::vector<std::string> names = lines(drawn);
  const std::set<std::string> training = {"a", "ab", "ca", "bbb"};
  std::string training_text;
  for (const std::string& name : training) training_text += name + "\n";

  for (bool novel : {false, true}) {
    for (bool unique : {false, true}) {
      for (int threads : {1, 3}) {
        for (int64_t wanted : {0, 1, 200, 9000}) {
          if (unique && wanted == 9000) wanted = 340;  // there are 363 words
          const StreamOptions options{wanted, 5, novel, unique, true, 20000, 4096, threads};
          NameStream stream(std::make_unique<TableSampler>(table, spelling), training_text, options);
          std::string text;
          while (!stream.ended()) text += stream.next(kNoPoll);
          Counts expected;
          std::set<std::string> seen;
          std::string expected_text;
          for (size_t i = 0; expected.names < wanted && i < names.size(); ++i) {
            const bool fresh = training.count(names[i]) == 0, repeat = !seen.insert(names[i]).second;
            ++expected.drawn;
            expected.drawn_fresh += fresh;
            if ((novel && !fresh) || (unique && repeat)) continue;
            ++expected.names;
            expected.fresh += fresh;
            expected_text += names[i] + "\n";
          }
          const Counts& c = stream.counts();
          check(text == expected_text, "the names of a stream");
          check(c.names == expected.names && c.fresh == expected.fresh && c.drawn == expected.drawn &&
                    c.drawn_fresh == expected.drawn_fresh && c.drawn_distinct == static_cast<int64_t>(seen.size()),
                "the counts of a stream");
        }
      }
    }
  }

  NameStream endless(std::make_unique<TableSampler>(table, spelling), "", {1000, 5, false, true, false, 500, 4096, 1});
  while (!endless.ended()) endless.next(kNoPoll);
  check(endless.gave_up() && endless.counts().names <= 363, "patience ends where there are no more names");

  NameStream stopped(std::make_unique<TableSampler>(table, spelling), "",
                     {int64_t{1} << 40, 5, false, false, false, 1, int64_t{1} << 30, 2});
  bool thrown = false;
  try {
    stopped.next([] { throw std::runtime_error("stop"); });
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  check(thrown, "what poll throws ends all threads");
}

void test_name_folding() {
  const auto folded = [](NameFolding folding, const std::string& name) {
    std::string text = "before ";
    folding.append(name, text);
    return text.substr(7);
  };
  check(folded(NameFolding(), "St. Ives") == "St. Ives", "without entries a name stays");
  const NameFolding bytes({{'S', 's', 0}, {'I', 'i', 0}});
  check(folded(bytes, "St. Ives\xC3\x89") == "st. ives\xC3\x89", "bytes are folded, others stay");
  // E; E with acute (U+00C9); sharp s (U+00DF); acute (U+0301, class 230); dot below (U+0323, class 220).
  const NameFolding all({{'E', 'e', 0},
                         {0xC9, 'e', 0},
                         {0xC9, 0x301, 230},
                         {0xDF, 's', 0},
                         {0xDF, 's', 0},
                         {0x301, 0x301, 230},
                         {0x323, 0x323, 220}});
  check(folded(all, "aE\xC3\x89\xC3\x9F\xF0\x9F\x98\x80") == "aee\xCC\x81ss\xF0\x9F\x98\x80",
        "a character becomes several");
  check(folded(all, "\xC3\x89\xCC\xA3x\xCC\xA3\xCC\x81") == "e\xCC\xA3\xCC\x81x\xCC\xA3\xCC\x81", "marks are ordered");
  check(folded(all, "\xC3") == folded(all, "\xC3") && folded(all, "").empty(), "text that is cut short");
}

template <class Make>
void check_refused(const Make& make, const std::string& what) {
  std::string message;
  try {
    make();
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  check(!message.empty(), what + " is refused");
}

void test_refusals(std::mt19937& generator) {
  check_refused([] { ContextTable(27, 8); }, "a table of too many contexts");
  const double falling[] = {0.5, 0.4, 1.0}, open[] = {0.1, 0.2, 0.9};
  ContextTable table(3, 1);
  check_refused([&] { table.set_rows(0, 1, falling); }, "a falling row");
  check_refused([&] { table.set_rows(0, 1, open); }, "a row that does not end with 1");
  check_refused([&] { table.set_rows(4, 1, falling); }, "a row beyond the table");
  check_refused([] { check_spelling({{"", "a\n"}, {}, 5}); }, "a newline in a letter");
  check_refused([] { check_spelling({{"", "a"}, {2}, 5}); }, "a prefix of unknown symbols");
  check_refused([] { check_spelling({{"", "a"}, {}, 0}); }, "no step");
  check_refused([] { NameFolding({{0x110000, 'a', 0}}); }, "a folded character that is none");
  check_refused(
      [&] { Network(300, 1, random_values<float>(300, generator), {random_level(15, 1, 300, false, generator)}); },
      "a context of 135 bits");
  check_refused([&] { Network(5, 2, random_values<float>(10, generator), {random_level(2, 3, 5, false, generator)}); },
                "levels that do not follow on each other");
  const auto network = std::make_shared<Network>(Network::of_table(2, 1, std::vector<float>(4).data()));
  check_refused([] { Network::of_table(2, 0, nullptr); }, "a block of nothing");
  check_refused([] { Network::of_table(2, 33, nullptr); }, "a table of logits of too many contexts");
  check_refused([&] { ContextTable(network, {0.0, 2}, kNoPoll); }, "a temperature of 0");
  check_refused([&] { ContextTable(network, {1.0, 3}, kNoPoll); }, "more likeliest symbols than there are");
}

}  // namespace

int main() {
  std::mt19937 generator(2);
  test_memo(generator);
  test_name_set(generator);
  test_table_sampler(generator);
  test_direct_sampler(generator);
  test_tabulated_network(generator);
  test_interrupted_sampler(generator);
  test_name_stream(generator);
  test_name_folding();
  test_refusals(generator);
  return result("sampling");
}
