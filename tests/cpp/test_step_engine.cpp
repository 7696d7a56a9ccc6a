// The step engine on every instruction set: its gradients against differences of its losses, float32 against float64,
// one thread against three bit for bit, and what it keeps of a run that is cut into pieces.
#include "engine/training/step_engine.h"

#include <algorithm>

#include "engine/training/step_engine.h"
#include "support.h"

using namegen::DType;
using namegen::engine::Level;
using namegen::engine::make_step_engine;
using namegen::engine::Network;
using namegen::engine::Optimizer;
using namegen::engine::OptimizerKind;
using namegen::engine::Slot;
using namegen::engine::StepEngine;
using namegen::engine::Steps;
using namegen::test::check;
using namegen::test::dtype_of;
using namegen::test::TestContext;

namespace {

Network network_of(int64_t vocab, int64_t embed, std::vector<Level> levels) {
  Network network{};
  network.vocab = vocab;
  network.block = 1;
  network.embed = embed;
  network.level_count = static_cast<int64_t>(levels.size());
  network.output_bias = true;
  for (size_t l = 0; l < levels.size(); ++l) {
    network.block *= levels[l].group;
    network.levels[l] = levels[l];
  }
  return network;
}

Level level(int64_t group, int64_t size, bool bias, bool batch_norm, bool unbiased = false) {
  return {group, size, bias, batch_norm, unbiased, 1e-5, 0.1};
}

const Optimizer kPlainSgd{OptimizerKind::kSgd, 0, 0, false, 0, 0, 0};
const Optimizer kAdamW{OptimizerKind::kAdamW, 0.01, 0, false, 0.9, 0.99, 1e-8};

// An engine with random parameters, and examples for it.
template <class T>
struct Run {
  std::unique_ptr<StepEngine> engine;
  std::vector<std::vector<T>> parameters;
  std::vector<int32_t> tokens, targets;
  std::vector<int64_t> indices;
  int64_t batch;

  Run(const std::string& isa, const Network& network, const Optimizer& optimizer, int64_t batch, int64_t steps)
      : engine(make_step_engine(network, optimizer, dtype_of<T>(), isa.c_str())), batch(batch) {
    std::mt19937 generator(1);
    for (int64_t p = 0; p < engine->parameter_count(); ++p) {
      const auto shape = engine->parameter_shape(p);
      // Both types get the same values.
      const std::vector<double> values = namegen::test::random_values<double>(shape.rows * shape.columns, generator);
      parameters.emplace_back(values.begin(), values.end());
      for (T& value : parameters.back()) value *= T(0.5);
    }
    take();
    constexpr int64_t kExamples = 50;
    for (int64_t i = 0; i < kExamples * network.block; ++i) tokens.push_back(generator() % network.vocab);
    for (int64_t i = 0; i < kExamples; ++i) targets.push_back(generator() % network.vocab);
    engine->set_examples(tokens.data(), targets.data(), kExamples);
    for (int64_t i = 0; i < batch * steps; ++i) indices.push_back(generator() % kExamples);
  }

  void take() {
    for (size_t p = 0; p < parameters.size(); ++p) engine->take(p, Slot::kValue, parameters[p].data());
  }
  std::vector<std::vector<T>> give() const {
    std::vector<std::vector<T>> values = parameters;
    for (size_t p = 0; p < values.size(); ++p) engine->give(p, Slot::kValue, values[p].data());
    return values;
  }
  std::vector<double> train(int64_t first, int64_t count, double rate, int threads = 1, double alone_below = 0) {
    std::vector<double> rates(count, rate), losses(count);
    TestContext context(threads, alone_below);
    engine->run({indices.data() + first * batch, rates.data(), losses.data(), count, batch}, context);
    return losses;
  }
};

void test_gradients(const std::string& isa, const std::string& name, const Network& network) {
  Run<double> run(isa, network, kPlainSgd, 7, 1);
  constexpr double kRate = 1e-3, kStep = 1e-5;
  run.train(0, 1, kRate);
  const std::vector<std::vector<double>> after = run.give();
  for (size_t p = 0; p < after.size(); ++p) {
    for (size_t i = 0; i < after[p].size(); i += 1 + after[p].size() / 40) {
      const double value = run.parameters[p][i];
      double losses[2];
      for (int side = 0; side < 2; ++side) {
        run.parameters[p][i] = value + (side == 0 ? kStep : -kStep);
        run.take();
        losses[side] = run.train(0, 1, 0)[0];
      }
      run.parameters[p][i] = value;
      const double expected = (losses[0] - losses[1]) / (2 * kStep), found = (value - after[p][i]) / kRate;
      // Central differences are off by the third derivative times h^2 / 6, and by the losses' rounding over h.
      check(std::abs(found - expected) < 1e-6 * (1 + std::abs(expected)),
            isa + " " + name + ": gradient of parameter " + std::to_string(p) + "[" + std::to_string(i) + "] is " +
                std::to_string(found) + ", expected " + std::to_string(expected));
    }
  }
}

void test_types(const std::string& isa, const std::string& name, const Network& network) {
  Run<float> single(isa, network, kPlainSgd, 33, 3);
  Run<double> whole(isa, network, kPlainSgd, 33, 3);
  const std::vector<double> found = single.train(0, 3, 0.1), expected = whole.train(0, 3, 0.1);
  for (int k = 0; k < 3; ++k) {
    check(std::abs(found[k] - expected[k]) < 1e-3 * (1 + expected[k]), isa + " " + name + ": float32 is not float64");
  }
}

void test_same_bits(const std::string& isa, const std::string& name, const Network& network) {
  constexpr int64_t kBatch = 800, kSteps = 3;  // three chunks
  Run<float> first(isa, network, kAdamW, kBatch, kSteps);
  first.train(0, kSteps, 0.01);
  Run<float> second(isa, network, kAdamW, kBatch, kSteps);
  second.train(0, 1, 0.01, 3);
  second.engine->set_updates(1);
  second.train(1, 1, 0.01, 2);
  second.engine->set_updates(2);
  second.train(2, kSteps - 2, 0.01, 2, 0.5);  // each thread makes a small table for itself
  check(first.give() == second.give(), isa + " " + name + ": threads or cuts change the bits");
}

void test_logits(const std::string& isa, const std::string& name, const Network& network) {
  Run<double> run(isa, network, kPlainSgd, 5, 1);
  TestContext context;
  const int64_t n = static_cast<int64_t>(run.targets.size());
  std::vector<double> all(n * network.vocab), one(network.vocab);
  run.engine->logits(run.tokens.data(), n, all.data(), context);
  for (int64_t i = 0; i < n; i += 7) {
    run.engine->logits(run.tokens.data() + i * network.block, 1, one.data(), context);
    double largest = 0;
    for (int64_t v = 0; v < network.vocab; ++v) {
      largest = std::max(largest, std::abs(one[v] - all[i * network.vocab + v]));
    }
    // Sums of at most 100 terms are taken in another order.
    check(largest < 1e-12, isa + " " + name + ": logits depend on the other examples");
  }
}

}  // namespace

int main() {
  const std::vector<std::pair<std::string, Network>> networks = {
      {"bigram", network_of(5, 5, {})},
      {"mlp", network_of(27, 3, {level(3, 17, true, false)})},
      {"mlp, batch norm", network_of(9, 5, {level(2, 33, true, true), level(1, 7, false, true, true)})},
      {"one of everything", network_of(2, 1, {level(1, 1, true, false)})},
      {"wavenet", network_of(27, 6, {level(2, 16, false, true), level(2, 19, true, true), level(2, 8, false, false)})},
      {"wide", network_of(130, 20, {level(8, 65, true, false)})},
  };
  for (const std::string& isa : namegen::cpu::supported_isas()) {
    for (const auto& [name, network] : networks) {
      test_gradients(isa, name, network);
      test_types(isa, name, network);
      test_same_bits(isa, name, network);
      test_logits(isa, name, network);
    }
  }
  return namegen::test::result("step_engine");
}
