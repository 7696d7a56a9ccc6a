// Several host threads are in the kernels, the step engine and the samplers at once, each with threads of its own. They
// must get the bits of one thread alone. Under ThreadSanitizer (the preset thread-sanitize) no two of them may touch
// the same memory without order.
#include <functional>

#include "engine/sampling/direct_sampler.h"
#include "engine/sampling/name_stream.h"
#include "engine/sampling/network.h"
#include "engine/sampling/table_sampler.h"
#include "engine/training/step_engine.h"
#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

constexpr int kCallers = 4;

// Calls body(0) ... body(kCallers - 1), each on a thread of its own. All of them start together.
void at_once(const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int caller = 0; caller < kCallers; ++caller) threads.emplace_back(body, caller);
  for (std::thread& thread : threads) thread.join();
}

// What each caller got must be what one caller gets alone, on one thread.
template <class Result>
void check_callers(const std::function<Result(int threads)>& call, const std::string& what) {
  const Result alone = call(1);
  std::vector<Result> results(kCallers);
  at_once([&](int caller) { results[caller] = call(caller % 3 + 1); });
  for (const Result& result : results) check(result == alone, what + ": callers at the same time differ from one");
}

// The first use of the kernels may come from several threads. The instruction set must be chosen once.
void test_first_use() {
  const cpu::Kernels* chosen[kCallers];
  const sampling::SamplingKernels* sampling_chosen[kCallers];
  at_once([&](int caller) {
    chosen[caller] = &cpu::kernels();
    sampling_chosen[caller] = &sampling::sampling_kernels();
  });
  for (int caller = 1; caller < kCallers; ++caller) {
    check(chosen[caller] == chosen[0] && sampling_chosen[caller] == sampling_chosen[0], "one choice for all threads");
  }
}

using Arrays = std::vector<std::vector<float>>;

void test_embedding_concat_linear(const cpu::Kernels& kernels, cpu::Algorithm algorithm) {
  const EmbeddingConcatLinearShape s{300, 3, 27, 10, 40};
  std::mt19937 generator(1);
  std::vector<int32_t> tokens(s.batch * s.block);
  for (int32_t& token : tokens) token = static_cast<int32_t>(generator() % s.vocab);
  const auto embedding = random_values<float>(s.vocab * s.embed, generator);
  const auto weight = random_values<float>(s.hidden * s.block * s.embed, generator);
  const auto bias = random_values<float>(s.hidden, generator);
  const auto gradient = random_values<float>(s.batch * s.hidden, generator);
  check_callers<Arrays>(
      [&](int threads) {
        Arrays r{std::vector<float>(gradient.size()), std::vector<float>(embedding.size()),
                 std::vector<float>(weight.size()), std::vector<float>(bias.size())};
        TestContext forward(threads), backward(threads);
        kernels.embedding_concat_linear_forward[0]({s, tokens.data(), embedding.data(), weight.data(), bias.data(),
                                                    r[0].data(), s.hidden, Activation::kTanh, algorithm},
                                                   forward);
        kernels.embedding_concat_linear_backward[0](
            {s, tokens.data(), embedding.data(), weight.data(), r[0].data(), gradient.data(), s.hidden, r[1].data(),
             r[2].data(), r[3].data(), Activation::kTanh, algorithm},
            backward);
        return r;
      },
      std::string(kernels.isa) + " embedding_concat_linear");
}

void test_batch_norm(const cpu::Kernels& kernels) {
  constexpr int64_t kRows = 1500, kChannels = 37;  // five chunks
  std::mt19937 generator(2);
  const auto input = random_values<float>(kRows * kChannels, generator);
  const auto gradient = random_values<float>(kRows * kChannels, generator);
  const auto weight = random_values<float>(kChannels, generator);
  const auto bias = random_values<float>(kChannels, generator);
  check_callers<Arrays>(
      [&](int threads) {
        const std::vector<float> channels(kChannels), all(input.size());
        Arrays r{all, channels, channels, channels, channels, all, channels, channels};
        TestContext forward(threads), backward(threads);
        kernels.batch_norm_forward[0](
            {kRows, kChannels, kChannels, input.data(), r[0].data(), weight.data(), bias.data(), r[1].data(),
             r[2].data(), r[3].data(), r[4].data(), true, 0.1, 1e-5, Activation::kTanh},
            forward);
        kernels.batch_norm_backward[0](
            {kRows, kChannels, kChannels, input.data(), r[0].data(), gradient.data(), weight.data(), r[1].data(),
             r[2].data(), r[5].data(), r[6].data(), r[7].data(), true, Activation::kTanh},
            backward);
        return r;
      },
      std::string(kernels.isa) + " batch_norm");
}

// Each caller has an engine of its own on the same examples.
void test_step_engine(const std::string& isa, const engine::Network& network, const std::string& name) {
  constexpr int64_t kExamples = 69, kSteps = 2, kBatch = 800;  // three chunks, whose rows fill no tiles
  std::mt19937 generator(3);
  std::vector<int32_t> tokens(kExamples * network.block), targets(kExamples);
  for (int32_t& token : tokens) token = static_cast<int32_t>(generator() % network.vocab);
  for (int32_t& target : targets) target = static_cast<int32_t>(generator() % network.vocab);
  std::vector<int64_t> indices(kSteps * kBatch);
  for (int64_t& index : indices) index = generator() % kExamples;
  const std::vector<double> rates(kSteps, 0.01);
  const engine::Optimizer adamw{engine::OptimizerKind::kAdamW, 0.01, 0, false, 0.9, 0.99, 1e-8};
  check_callers<Arrays>(
      [&](int threads) {
        const auto engine = engine::make_step_engine(network, adamw, DType::kFloat32, isa.c_str());
        std::mt19937 values(4);
        Arrays r;
        for (int64_t p = 0; p < engine->parameter_count(); ++p) {
          const engine::ParameterShape shape = engine->parameter_shape(p);
          r.push_back(random_values<float>(shape.rows * shape.columns, values));
          engine->take(p, engine::Slot::kValue, r.back().data());
        }
        std::vector<double> losses(kSteps);
        std::vector<float> logits(kExamples * network.vocab);
        TestContext context(threads, threads == 2 ? 0.5 : 0);  // each thread makes a small table
        engine->set_examples(tokens.data(), targets.data(), kExamples);
        engine->run({indices.data(), rates.data(), losses.data(), kSteps, kBatch}, context);
        engine->logits(tokens.data(), kExamples, logits.data(), context);
        for (int64_t p = 0; p < engine->parameter_count(); ++p) engine->give(p, engine::Slot::kValue, r[p].data());
        r.push_back(logits);
        return r;
      },
      isa + " step engine, " + name);
}

// Streams that share what they draw from. One of them copies a sampler that another is drawing with.
void test_samplers(const std::function<std::unique_ptr<sampling::Sampler>()>& make, const std::string& name) {
  const std::string training = "a\nab\nba\n";
  check_callers<std::string>(
      [&](int threads) {
        // A thread is started for more than 1,024 names each, so this starts the threads that are asked for.
        sampling::NameStream stream(make(), training, {3500, 7, false, false, false, 1, 3500, threads});
        std::string text;
        while (!stream.ended()) text += stream.next([] {});
        return text;
      },
      name + " stream");

  const std::unique_ptr<sampling::Sampler> shared = make();
  std::string expected;
  shared->copy()->draw(7, 0, 600, expected, [] {});
  at_once([&](int caller) {
    std::string text;
    const std::unique_ptr<sampling::Sampler> copy = caller == 0 ? nullptr : shared->copy();
    (copy == nullptr ? *shared : *copy).draw(7, 0, 600, text, [] {});
    check(text == expected, name + ": a copy made while its sampler draws");
  });
}

sampling::Spelling letters(int64_t vocab) {
  sampling::Spelling spelling{{""}, {}, 12};
  for (int64_t symbol = 1; symbol < vocab; ++symbol) spelling.encodings.emplace_back(1, char('`' + symbol));
  return spelling;
}

void test_table_sampler() {
  constexpr int64_t kVocab = 5;
  const auto table = std::make_shared<sampling::ContextTable>(kVocab, 2);
  const double cumulative[kVocab] = {0.2, 0.4, 0.7, 0.8, 1};
  for (int64_t row = 0; row < table->num_rows(); ++row) table->set_rows(row, 1, cumulative);
  test_samplers([&] { return std::make_unique<sampling::TableSampler>(table, letters(kVocab)); }, "table");
}

void test_direct_sampler() {
  constexpr int64_t kVocab = 9, kDim = 4, kHidden = 12;
  std::mt19937 generator(5);
  const auto level = [&](int64_t factor, int64_t in, int64_t out, bool tanh) {
    return sampling::Level{
        factor, in, out, random_values<float>(out * factor * in, generator), random_values<float>(out, generator),
        tanh};
  };
  const std::vector<sampling::Level> levels = {level(2, kDim, kHidden, true), level(2, kHidden, kHidden, true),
                                               level(1, kHidden, kVocab, false)};
  const auto network =
      std::make_shared<sampling::Network>(kVocab, kDim, random_values<float>(kVocab * kDim, generator), levels);
  test_samplers(
      [&] { return std::make_unique<sampling::DirectSampler>(network, sampling::Shaping{1, kVocab}, letters(kVocab)); },
      "direct");
}

engine::Network network_of(std::vector<engine::Level> levels) {
  engine::Network network{};
  network.vocab = 11;
  network.block = 1;
  network.embed = 5;
  network.output_bias = true;
  for (const engine::Level& level : levels) {
    network.block *= level.group;
    network.levels[network.level_count++] = level;
  }
  return network;
}

}  // namespace

int main() {
  test_first_use();
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    test_embedding_concat_linear(kernels, cpu::Algorithm::kTable);
    test_embedding_concat_linear(kernels, cpu::Algorithm::kPlain);
    test_batch_norm(kernels);
    test_step_engine(isa, network_of({{3, 24, true, false, false}}), "perceptron");
    test_step_engine(isa, network_of({{2, 9, false, true, false}, {2, 17, true, true, true}}), "tree, batch norm");
  }
  test_table_sampler();
  test_direct_sampler();
  return result("threads");
}
