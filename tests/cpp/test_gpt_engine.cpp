// The GPT's engine: its gradients against differences of its losses, the same bits for any number of threads, and every
// instruction set against the narrowest. (tests/engine/test_gpt.py holds it against autograd.)
#include <algorithm>

#include "engine/gpt/gpt_engine.h"
#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

const engine::Interrupt kNever{};
constexpr engine::Optimizer kPlain{engine::OptimizerKind::kSgd, 0, 0, false, 0, 0, 0};
constexpr engine::Optimizer kAdamW{engine::OptimizerKind::kAdamW, 0.01, 0, false, 0.9, 0.99, 1e-8};

struct Examples {
  int64_t count, block;
  std::vector<int32_t> tokens, targets;
};

Examples random_examples(const engine::GptNetwork& network, int64_t count) {
  std::mt19937 generator(5);
  Examples e{count, network.block, {}, {}};
  for (int64_t row = 0; row < count; ++row) {
    const int64_t length = 1 + static_cast<int64_t>(generator() % network.block);
    for (int64_t t = 0; t < network.block; ++t) {
      // Few symbols at first, so that prefixes repeat.
      e.tokens.push_back(t == 0 ? 0 : static_cast<int32_t>(generator() % std::min<int64_t>(network.vocab, t + 1)));
      e.targets.push_back(t < length ? static_cast<int32_t>(generator() % network.vocab) : engine::kIgnored);
    }
  }
  return e;
}

template <class T>
struct Run {
  std::unique_ptr<engine::GptEngine> engine;
  Examples examples;
  std::vector<std::vector<T>> parameters;

  Run(const engine::GptNetwork& network, const engine::Optimizer& optimizer, const std::string& isa)
      : engine(engine::make_gpt_engine(network, optimizer, dtype_of<T>(), isa)),
        examples(random_examples(network, 300)) {
    std::mt19937 generator(6);
    for (int64_t p = 0; p < engine->parameter_count(); ++p) {
      const engine::ParameterShape shape = engine->parameter_shape(p);
      parameters.push_back(random_values<T>(shape.rows * shape.columns, generator));
      for (T& value : parameters.back()) value = shape.rows == 1 ? 1 + value / 10 : value / 3;
    }
    give_parameters();
    engine->set_examples(examples.tokens.data(), examples.targets.data(), examples.count);
  }

  void give_parameters() {
    for (size_t p = 0; p < parameters.size(); ++p) engine->take(p, engine::Slot::kValue, parameters[p].data());
  }
  std::vector<std::vector<T>> values() const {
    std::vector<std::vector<T>> result = parameters;
    for (size_t p = 0; p < result.size(); ++p) engine->give(p, engine::Slot::kValue, result[p].data());
    return result;
  }
  std::vector<double> steps(int64_t count, int64_t batch, double learning_rate, int threads) {
    std::mt19937 generator(7);
    std::vector<int64_t> indices(count * batch);
    for (int64_t& index : indices) index = static_cast<int64_t>(generator() % examples.count);
    const std::vector<double> rates(count, learning_rate);
    std::vector<double> losses(count);
    TestContext context(threads);
    int64_t done = -1;
    engine->run({indices.data(), rates.data(), losses.data(), count, batch}, context, kNever, &done);
    check(done == count, "all steps are made");
    return losses;
  }
  // The mean over all examples, in their order.
  double mean_loss(int threads) {
    engine::SequenceSet set;
    set.assign(examples.tokens.data(), examples.targets.data(), examples.count, examples.block);
    TestContext context(threads);
    const auto targets =
        std::count_if(examples.targets.begin(), examples.targets.end(), [](int32_t t) { return t >= 0; });
    return engine->sum_of_losses(set, 0, examples.count, context, kNever) / double(targets);
  }
};

const engine::GptNetwork kNetworks[] = {
    {9, 6, 20, 2, 5, 33, false, 1e-5},
    {30, 17, 64, 1, 2, 128, true, 1e-5},
    {2, 1, 1, 1, 1, 1, false, 1e-5},
    {9, 6, 16, 1, 4, 64, false, 1e-5, false, false, true, engine::GptNorms::kRms, engine::GptActivation::kRelu},
    {9, 6, 20, 2, 5, 33, true, 1e-5, true, true, true, engine::GptNorms::kLayer, engine::GptActivation::kGeluTanh},
};

// One step of SGD on all examples moves each parameter by its gradient.
void test_gradients(const engine::GptNetwork& network, const std::string& isa) {
  Run<double> run(network, kPlain, isa);
  std::vector<int64_t> all(run.examples.count);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const double rate = 1;
  double loss;
  TestContext context;
  int64_t done;
  const double before = run.mean_loss(1);
  run.engine->run({all.data(), &rate, &loss, 1, run.examples.count}, context, kNever, &done);
  check(std::fabs(loss - before) <= 1e-12 * before, "training and evaluation agree on the loss");
  const std::vector<std::vector<double>> moved = run.values();
  std::mt19937 generator(8);
  for (size_t p = 0; p < moved.size(); ++p) {
    for (int sample = 0; sample < 3; ++sample) {
      const size_t i = generator() % moved[p].size();
      const double h = 1e-5, value = run.parameters[p][i];
      double sides[2];
      for (const int side : {0, 1}) {
        run.parameters[p][i] = value + (side == 0 ? -h : h);
        run.give_parameters();
        sides[side] = run.mean_loss(1);
      }
      run.parameters[p][i] = value;
      // h^2 times a third derivative, and a loss's rounding over h.
      const double expected = (sides[1] - sides[0]) / (2 * h);
      check(std::fabs(value - moved[p][i] - expected) <= 1e-7,
            isa + ": the gradient of parameter " + std::to_string(p));
    }
  }
}

void test_threads(const engine::GptNetwork& network, const std::string& isa) {
  std::vector<std::vector<float>> first;
  std::vector<double> first_losses;
  double first_mean = 0;
  for (const int threads : {1, 2, 16}) {
    Run<float> run(network, kAdamW, isa);
    const std::vector<double> losses = run.steps(3, 2000, 0.01, threads);
    const double mean = run.mean_loss(threads);
    if (threads == 1) {
      first = run.values();
      first_losses = losses;
      first_mean = mean;
    }
    check(run.values() == first && losses == first_losses && mean == first_mean,
          isa + ": the same bits for " + std::to_string(threads) + " threads");
  }
}

void test_instruction_sets(const engine::GptNetwork& network) {
  Run<double> expected(network, kAdamW, cpu::compiled_isas().front());
  const std::vector<double> losses = expected.steps(5, 40, 0.01, 1);
  for (const std::string& isa : cpu::supported_isas()) {
    Run<double> run(network, kAdamW, isa);
    Run<float> narrow(network, kAdamW, isa);
    const std::vector<double> other = run.steps(5, 40, 0.01, 1), rough = narrow.steps(5, 40, 0.01, 1);
    for (size_t k = 0; k < losses.size(); ++k) {
      check(std::fabs(other[k] - losses[k]) <= 1e-9 * losses[k], isa + " against the narrowest instruction set");
      check(std::fabs(rough[k] - losses[k]) <= 1e-3 * losses[k], isa + " in float32 against float64");
    }
  }
}

// An interrupt leaves the parameters as they were before its step.
void test_interrupt(const engine::GptNetwork& network) {
  Run<double> run(network, kPlain, cpu::kernels().isa);
  const std::vector<int64_t> indices(3 * 8, 1);
  const std::vector<double> rates(3, 0.1);
  std::vector<double> losses(3, -1);
  int asked = 0;
  const engine::Interrupt third{[](void* state) { return ++*static_cast<int*>(state) > 3; }, &asked};
  TestContext context;
  int64_t done = -1;
  run.engine->run({indices.data(), rates.data(), losses.data(), 3, 8}, context, third, &done);
  check(done == 1 && losses[0] > 0 && losses[1] == -1, "one step is made before the interrupt");
  Run<double> other(network, kPlain, cpu::kernels().isa);
  other.engine->run({indices.data(), rates.data(), losses.data(), 1, 8}, context, kNever, &done);
  check(run.values() == other.values(), "the interrupted step leaves nothing behind");
}

}  // namespace

int main() {
  for (const engine::GptNetwork& network : kNetworks) {
    for (const std::string& isa : cpu::supported_isas()) {
      test_gradients(network, isa);
      test_threads(network, isa);
    }
    test_instruction_sets(network);
    test_interrupt(network);
  }
  return result("gpt_engine");
}
