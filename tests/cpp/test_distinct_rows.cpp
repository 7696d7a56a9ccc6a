// Which rows are equal: the table of a data set's rows, and the rows of minibatches drawn from it, against maps of the
// standard library.
#include "engine/training/cpu/distinct_rows.h"

#include <algorithm>
#include <map>

#include "engine/training/cpu/minibatch.h"
#include "support.h"

namespace distinct = namegen::cpu::NAMEGEN_ISA;
using namegen::engine::Network;
using namegen::test::check;
using namegen::test::TestContext;

namespace {

using Row = std::vector<int32_t>;

// Numbers rows in the order of their first occurrence.
struct Numbering {
  std::map<Row, int32_t> numbers;
  std::vector<int32_t> repeats;
  int32_t add(const Row& row) {
    const auto [found, is_new] = numbers.try_emplace(row, static_cast<int32_t>(numbers.size()));
    if (is_new) repeats.push_back(0);
    ++repeats[found->second];
    return found->second;
  }
};

void test_table(distinct::RowTable& table, int64_t places, int64_t group, int64_t span, int64_t used) {
  std::mt19937 generator(static_cast<unsigned>(places + 7 * group + 31 * span));
  Numbering expected;
  bool same = true;
  table.begin(group);
  for (int64_t i = 0; i < places; ++i) {
    Row row(group);
    for (int32_t& value : row) value = static_cast<int32_t>(span - 1 - generator() % used);
    const int32_t number = table.number(row.data());
    same = same && number == expected.add(row);
    for (int64_t part = 0; same && part < group; ++part) same = table.parts()[number * group + part] == row[part];
  }
  const std::string what = std::to_string(places) + " places of " + std::to_string(group) + " values below " +
                           std::to_string(span) + ", " + std::to_string(used) + " of them used";
  check(table.count() == static_cast<int64_t>(expected.numbers.size()), what + ": number of rows");
  check(same, what + ": rows and what they are made of");
}

// Levels with groups of 1 have the rows of the level below.
Network network_of(int64_t vocab, const std::vector<int64_t>& groups) {
  Network network{};
  network.vocab = vocab;
  network.block = 1;
  network.embed = groups.empty() ? vocab : 1;
  for (const int64_t group : groups) {
    network.levels[network.level_count++] = {group, 1, true, false, false};
    network.block *= group;
  }
  return network;
}

// The symbols below a row of a level, found through the parts that it is made of.
Row symbols_below(const distinct::Minibatch& m, const Network& network, int64_t level, int32_t row) {
  const int64_t at = distinct::level_of_rows(network, level), group = network.levels[at].group;
  Row symbols;
  for (int64_t part = 0; part < group; ++part) {
    const int32_t below = m.rows[at].parts[row * group + part];
    const Row piece = at == 0 ? Row{below} : symbols_below(m, network, at - 1, below);
    symbols.insert(symbols.end(), piece.begin(), piece.end());
  }
  return symbols;
}

void check_minibatch(const distinct::Minibatch& m, const Network& network, const std::vector<int32_t>& tokens,
                     const int64_t* indices, int64_t batch, const std::string& what) {
  int64_t positions = network.block, width = 1;
  for (int64_t l = 0; l < network.level_count; ++l) {
    positions /= network.levels[l].group;
    width *= network.levels[l].group;
    Numbering expected;
    for (int64_t i = 0; i < batch; ++i) {
      for (int64_t t = 0; t < positions; ++t) {
        const auto first = tokens.begin() + indices[i] * network.block + t * width;
        expected.add(Row(first, first + width));
      }
    }
    const std::string level = what + ", level " + std::to_string(l);
    bool same = m.rows[l].count == static_cast<int64_t>(expected.numbers.size());
    check(same, level + ": number of rows");
    for (int32_t r = 0; same && r < m.rows[l].count; ++r) {
      const Row symbols = symbols_below(m, network, l, r);
      same = expected.numbers.count(symbols) == 1 && expected.numbers[symbols] == r;
      same = same && m.rows[l].repeats[r] == expected.repeats[r];
    }
    check(same, level + ": rows by first occurrence, and how often each occurs");
    if (l == 0 || !distinct::joins_rows(network, l)) continue;
    const int64_t parts = m.rows[l].count * network.levels[l].group;
    std::vector<int32_t> read(parts, -1);
    for (int32_t r = 0; r < m.rows[l - 1].count; ++r) {
      for (int32_t i = m.readers[l - 1].begin[r]; i < m.readers[l - 1].begin[r + 1]; ++i) {
        read[m.readers[l - 1].members[i]] = r;
      }
    }
    check(std::equal(read.begin(), read.end(), m.rows[l].parts), level + ": readers of the rows below");
  }
  Numbering contexts;
  std::vector<int32_t> row_of(batch, -1);
  bool same = true;
  for (int64_t r = 0; r < m.outputs.count; ++r) {
    for (int32_t i = m.examples_of.begin[r]; i < m.examples_of.begin[r + 1]; ++i) {
      row_of[m.examples_of.members[i]] = r;
      same = same && (i == m.examples_of.begin[r] || m.examples_of.members[i - 1] < m.examples_of.members[i]);
    }
  }
  for (int64_t i = 0; i < batch; ++i) {
    const auto first = tokens.begin() + indices[i] * network.block;
    same = same && row_of[i] == contexts.add(Row(first, first + network.block));
    same = same && m.targets.data()[i] == indices[i] % network.vocab;
  }
  check(same, what + ": examples of the outputs, and targets");
}

void test_minibatches(int64_t vocab, const std::vector<int64_t>& groups, int64_t batch) {
  constexpr int64_t kExamples = 3000, kSteps = 4;
  const Network network = network_of(vocab, groups);
  std::mt19937 generator(static_cast<unsigned>(vocab + batch));
  std::vector<int32_t> tokens(kExamples * network.block), targets(kExamples);
  for (int32_t& token : tokens) token = static_cast<int32_t>(std::min(generator() % vocab, generator() % vocab));
  for (int64_t i = 0; i < kExamples; ++i) targets[i] = static_cast<int32_t>(i % vocab);
  std::vector<int64_t> indices(batch * kSteps);
  for (int64_t& index : indices) index = generator() % kExamples;

  distinct::Examples examples;
  distinct::RowMarks marks(2);  // its stamps begin again after two minibatches
  examples.assign(network, tokens.data(), targets.data(), kExamples);
  examples.finish_numbering();
  marks.reserve(network, examples);
  distinct::Minibatch m;
  m.reserve(batch);
  TestContext context(1);
  for (int64_t step = 0; step < kSteps; ++step) {
    m.context.begin_step(context);
    distinct::gather(m, examples, {indices.data(), nullptr, nullptr, kSteps, batch}, step);
    distinct::find_rows(m, network, examples, marks);
    std::string what = "vocab " + std::to_string(vocab) + ", batch " + std::to_string(batch) + ", groups";
    for (const int64_t group : groups) what += " " + std::to_string(group);
    check_minibatch(m, network, tokens, indices.data() + step * batch, batch, what);
  }
}

}  // namespace

int main() {
  distinct::RowTable table;  // it serves one level after the other, as in evaluation
  for (const int64_t places : {1, 2, 3, 32, 1000, 5000}) {
    for (const int64_t group : {1, 2, 3, 8, 16}) {
      for (const int64_t span : {2, 27, 300, 100000, INT32_MAX}) {
        for (const int64_t used : {1, 2, 27, 100000}) {
          if (used <= span) test_table(table, places, group, span, used);
        }
      }
    }
  }
  for (const int64_t batch : {1, 2, 33, 800}) {
    for (const int64_t vocab : {2, 27, 300}) {
      test_minibatches(vocab, {}, batch);
      test_minibatches(vocab, {1}, batch);
      test_minibatches(vocab, {3}, batch);
      test_minibatches(vocab, {3, 1, 1}, batch);
      test_minibatches(vocab, {1, 1, 4}, batch);
      test_minibatches(vocab, {2, 2, 2}, batch);
      test_minibatches(vocab, {2, 1, 3, 1, 2}, batch);
    }
  }
  return namegen::test::result("distinct_rows");
}
