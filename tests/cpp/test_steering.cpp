// Names that meet constraints, against a slow definition: how likely a name is accepted is found by spelling out all of
// them, and names are drawn by inverting rows that are made of it.
#include <map>
#include <stdexcept>

#include "engine/sampling/name_stream.h"
#include "engine/sampling/network.h"
#include "engine/sampling/steering/message_sampler.h"
#include "engine/sampling/steering/rejection_sampler.h"
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
  return result;
}

uint32_t word_of(uint64_t seed, uint64_t sample, int64_t step, uint32_t attempt) {
  std::vector<uint32_t> words(4 * 16);
  const uint32_t slot = 0;
  sampling_kernels().philox_words({seed, sample, &slot, 1, static_cast<uint32_t>(step / 4), words.data(), 16, attempt});
  return words[step % 4 * 16];
}

Spelling letters(int64_t vocab, std::vector<int32_t> prefix, int64_t max_steps) {
  Spelling spelling{{""}, std::move(prefix), max_steps};
  for (int64_t symbol = 1; symbol < vocab; ++symbol) {
    spelling.encodings.push_back(std::string(1, static_cast<char>('`' + symbol)));
  }
  return spelling;
}

// Accepts some names of up to states - 1 letters; every state leads to one that accepts.
Automaton random_automaton(int64_t vocab, int64_t states, std::mt19937& generator) {
  Automaton automaton{vocab, std::vector<int32_t>(states * vocab, -1), std::vector<uint8_t>(states, 0)};
  for (int64_t state = 0; state < states; ++state) {
    automaton.accepted[state] = state == states - 1 || (state > 0 && generator() % 3 == 0);
    for (int64_t symbol = 1; symbol < vocab && state < states - 1; ++symbol) {
      if (generator() % 4 == 0 && symbol > 1) continue;
      automaton.next[state * vocab + symbol] = static_cast<int32_t>(
          state + 1 + generator() % static_cast<uint32_t>(std::min<int64_t>(2, states - 1 - state)));
    }
  }
  return automaton;
}

// The model, the automaton, and a memory of what was found.
struct Definition {
  std::shared_ptr<const Network> network;
  const Automaton& automaton;
  ContextRows rows;
  bool has_prefix;
  std::map<std::pair<uint64_t, int64_t>, double> known;

  std::vector<double> probabilities(Key context) {
    std::vector<double> p(network->vocab());
    rows.probabilities(&context, 1, context == 0 && !has_prefix, p.data());
    return p;
  }
  double beta(Key context, int64_t state) {
    const auto place = std::make_pair(static_cast<uint64_t>(context), state);
    const auto found = known.find(place);
    if (found != known.end()) return found->second;
    double sum = 0;
    for (double weight : weights(context, state)) sum += weight;
    return known[place] = sum;
  }
  // How likely each symbol comes and the name is accepted then.
  std::vector<double> weights(Key context, int64_t state) {
    std::vector<double> weight = probabilities(context);
    weight[0] *= automaton.accepted[state];
    for (int64_t symbol = 1; symbol < network->vocab(); ++symbol) {
      const int32_t next = automaton.after(state, symbol);
      weight[symbol] *= next < 0 ? 0 : beta(network->append(context, static_cast<uint32_t>(symbol)), next);
    }
    return weight;
  }
};

// Inverts weights whose rest, up to `total`, is a rejection: the number of weights.
int64_t invert(const std::vector<double>& weight, double total, uint32_t word) {
  double sum = 0;
  for (size_t symbol = 0; symbol < weight.size(); ++symbol) {
    sum += weight[symbol];
    if (sum / total > word * 0x1p-32) return static_cast<int64_t>(symbol);
  }
  return static_cast<int64_t>(weight.size());
}

std::string spelt(const Spelling& spelling, const std::vector<int32_t>& symbols) {
  std::string name;
  for (int32_t symbol : spelling.prefix) name += spelling.encodings[symbol];
  for (int32_t symbol : symbols) name += spelling.encodings[symbol];
  return name;
}

std::string by_messages(Definition& definition, const Spelling& spelling, Key start, uint64_t seed, uint64_t sample) {
  std::vector<int32_t> symbols;
  Key context = start;
  for (int64_t state = 0;;) {
    const uint32_t word = word_of(seed, sample, static_cast<int64_t>(symbols.size()), 0);
    const int64_t symbol = invert(definition.weights(context, state), definition.beta(context, state), word);
    if (symbol == 0 || symbol == definition.network->vocab()) return spelt(spelling, symbols);
    symbols.push_back(static_cast<int32_t>(symbol));
    state = definition.automaton.after(state, symbol);
    context = definition.network->append(context, static_cast<uint32_t>(symbol));
  }
}

// Only the start is followed: what is drawn there is accepted letters alone.
std::string by_rejection(Definition& definition, const Spelling& spelling, Key start, int64_t longest, uint64_t seed,
                         uint64_t sample) {
  const int64_t vocab = definition.network->vocab();
  for (uint32_t attempt = 0;; ++attempt) {
    std::vector<int32_t> symbols;
    Key context = start;
    for (int64_t state = 0;;) {
      std::vector<double> weight = definition.probabilities(context);
      weight[0] *= definition.automaton.accepted[state];
      const bool is_full = static_cast<int64_t>(symbols.size()) == longest;
      for (int64_t c = 1; c < vocab; ++c) weight[c] *= !is_full && definition.automaton.after(state, c) >= 0;
      double total = 1;
      if (symbols.empty()) {
        total = 0;
        for (double w : weight) total += w;
      }
      const uint32_t word = word_of(seed, sample, static_cast<int64_t>(symbols.size()), attempt);
      const int64_t symbol = invert(weight, total, word);
      if (symbol == 0) return spelt(spelling, symbols);
      if (symbol == vocab) break;
      symbols.push_back(static_cast<int32_t>(symbol));
      state = definition.automaton.after(state, symbol);
      context = definition.network->append(context, static_cast<uint32_t>(symbol));
    }
  }
}

std::shared_ptr<const Network> random_model(int64_t vocab, int64_t block, std::mt19937& generator) {
  int64_t contexts = 1;
  for (int64_t i = 0; i < block; ++i) contexts *= vocab;
  const std::vector<float> logits = random_values<float>(contexts * vocab, generator);
  return std::make_shared<Network>(Network::of_table(vocab, block, logits.data()));
}

void test_names(std::mt19937& generator) {
  for (int64_t vocab : {2, 5, 16, 17, 27}) {
    for (int64_t block : {1, 2, 3}) {
      for (const bool has_prefix : {false, true}) {
        const auto network = random_model(vocab, block, generator);
        const auto automaton = std::make_shared<Automaton>(random_automaton(vocab, 7, generator));
        const auto prefix =
            has_prefix ? std::vector<int32_t>{1, static_cast<int32_t>(vocab - 1)} : std::vector<int32_t>{};
        const Shaping shaping{0.9, vocab};
        const Spelling spelling = letters(vocab, prefix, 20);
        Definition definition{network, *automaton, ContextRows(network, shaping), has_prefix, {}};
        const Key start = definition.rows.start(prefix);
        const uint64_t seed = generator(), first = 0xfffffff0u;  // the numbers of samples pass 2^32

        const auto contexts = ContextSet::reach(network, shaping, prefix, 1 << 20, kNoPoll);
        const auto messages = std::make_shared<Messages>(contexts, *automaton, kNoPoll);
        const double expected = definition.beta(start, 0);
        check(std::abs(messages->accepted() - expected) <= 1e-13 * expected, "how likely a name is accepted");
        MessageSampler sampler(messages, spelling);
        std::string text, again;
        sampler.draw(seed, first, 1500, text, kNoPoll);
        sampler.copy()->draw(seed, first + 100, 30, again, kNoPoll);
        const std::vector<std::string> names = lines(text), some = lines(again);
        check(names.size() == 1500, "as many names as asked for");
        check(std::equal(some.begin(), some.end(), names.begin() + 100), "names depend on their numbers alone");
        for (size_t i = 0; i < names.size(); i += i < 32 ? 1 : 97) {
          const std::string name = by_messages(definition, spelling, start, seed, first + i);
          check(names[i] == name, "by messages: " + names[i] + " is " + name);
        }

        const int64_t longest = 4;  // shorter than some that the automaton accepts
        const auto beginnings = std::make_shared<Beginnings>(network, shaping, *automaton, prefix, longest, 1, kNoPoll);
        RejectionSampler rejection(network, shaping, automaton, beginnings, spelling, {longest, 1 << 20});
        text.clear();
        rejection.draw(seed, first, 300, text, kNoPoll);
        const std::vector<std::string> kept = lines(text);
        for (size_t i = 0; i < kept.size(); i += 7) {
          const std::string name = by_rejection(definition, spelling, start, longest, seed, first + i);
          check(kept[i] == name, "by rejection: " + kept[i] + " is " + name);
        }

        // With all beginnings followed nothing is left to reject, and the bound is exact.
        if (vocab <= 5) {
          const Beginnings all(network, shaping, *automaton, prefix, 20, 1 << 22, kNoPoll);
          check(std::abs(all.bound() - expected) <= 1e-13 * expected, "the bound of all beginnings");
        }
        const Beginnings few(network, shaping, *automaton, prefix, 20, 5, kNoPoll);
        check(few.bound() >= expected * (1 - 1e-13) && few.size() <= 5, "a bound is not below what it bounds");
        if (vocab > 5) break;
      }
    }
  }
}

// A name that is not found ends the stream behind the names before it, on any number of threads.
void test_too_few(std::mt19937& generator) {
  const auto network = random_model(5, 2, generator);
  Automaton unlikely{5, std::vector<int32_t>(9 * 5, -1), std::vector<uint8_t>(9, 0)};
  for (int32_t state = 0; state < 8; ++state) unlikely.next[state * 5 + 1 + state % 4] = state + 1;
  unlikely.accepted[8] = 1;
  const auto automaton = std::make_shared<Automaton>(unlikely);
  const Shaping shaping{1, 5};
  const auto beginnings =
      std::make_shared<Beginnings>(network, shaping, *automaton, std::vector<int32_t>{}, 8, 1, kNoPoll);
  std::vector<std::string> texts;
  for (int threads : {1, 3}) {
    auto sampler = std::make_unique<RejectionSampler>(network, shaping, automaton, beginnings, letters(5, {}, 9),
                                                      RejectionSampler::Limits{8, 3});
    NameStream stream(std::move(sampler), "", {20000, 5, false, false, false, 100, 20000, threads});
    std::string text;
    while (!stream.ended()) text += stream.next(kNoPoll);
    check(stream.too_few().has_value() && !stream.gave_up(), "a name was not found");
    check(stream.too_few()->most_tries() == 3 && stream.too_few()->tries() > stream.too_few()->accepted(), "tries");
    check(stream.counts().names == static_cast<int64_t>(lines(text).size()), "the names before it are counted");
    texts.push_back(text);
  }
  check(texts[0] == texts[1], "the same names on several threads");
}

template <class Call>
void check_throws(const Call& call, const std::string& what) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    check(std::string(error.what()).find(what) != std::string::npos, "the error tells: " + what);
    return;
  }
  check(false, "throws: " + what);
}

void test_arguments(std::mt19937& generator) {
  const auto network = random_model(3, 1, generator);
  const Shaping shaping{1, 3};
  check_throws([] { check_automaton({3, {-1, 0, 0}, {}}); }, "states");
  check_throws([] { check_automaton({3, {-1, 0}, {1}}); }, "(states, vocab)");
  check_throws([] { check_automaton({3, {-1, 1, 0}, {1}}); }, "must hold states");
  check_throws([] { check_automaton({3, {0, 0, 0}, {1}}); }, "behind the end");
  check_throws([] { check_acyclic({3, {-1, 0, 0}, {1}}); }, "higher number");
  const auto contexts = ContextSet::reach(network, shaping, {}, 100, kNoPoll);
  check(contexts != nullptr && contexts->size() == 3, "the start and two letters");
  check(ContextSet::reach(network, shaping, {}, 2, kNoPoll) == nullptr, "more contexts than wanted");
  check_throws([&] { Messages(contexts, {4, {-1, -1, -1, -1}, {1}}, kNoPoll); }, "the model's symbols");
  const auto none = std::make_shared<Messages>(contexts, Automaton{3, {-1, -1, -1}, {1}}, kNoPoll);
  check(none->accepted() == 0, "no name is empty");
  check_throws([&] { MessageSampler(none, letters(3, {}, 5)); }, "never are");
  check_throws([&] { Beginnings(network, shaping, {3, {-1, 0, 0}, {1}}, {}, 5, 0, kNoPoll); },
               "from 1 to 2^24 beginnings");
}

}  // namespace

int main() {
  std::mt19937 generator(11);
  test_names(generator);
  test_too_few(generator);
  test_arguments(generator);
  return result("steering");
}
