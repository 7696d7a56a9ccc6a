// namegen_ext._core.StepEngine: the training engine on arrays of numpy, which share memory with torch's tensors.
#include "engine/training/step_engine.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/parts.h"
#include "bindings/training.h"
#include "threads/thread_context.h"

namespace namegen::bindings {
namespace {

// How long steps run before the next look for Ctrl-C.
constexpr double kSliceSeconds = 0.02;

class PyStepEngine : public PyEngine<engine::StepEngine> {
 public:
  PyStepEngine(int64_t vocab, int64_t block, int64_t embed, const std::vector<nb::dict>& levels, bool output_bias,
               const nb::dict& optimizer, bool float64)
      : PyEngine(float64) {
    network_.vocab = vocab;
    network_.block = block;
    network_.embed = embed;
    network_.output_bias = output_bias;
    network_.level_count = static_cast<int64_t>(levels.size());
    require_size("vocab", vocab);
    require_size("block", block);
    require_size("embed", embed);
    require(levels.size() <= engine::Network::kMostLevels,
            "levels: got " + std::to_string(levels.size()) + ", expected at most 16");
    int64_t positions = block, inputs = embed;
    double parameters = double(vocab) * double(embed);
    for (size_t l = 0; l < levels.size(); ++l) {
      engine::Level& level = network_.levels[l];
      level.group = integer("levels", levels[l], "group");
      level.size = integer("levels", levels[l], "size");
      level.bias = flag("levels", levels[l], "bias");
      level.batch_norm = flag("levels", levels[l], "batch_norm");
      level.unbiased = flag("levels", levels[l], "unbiased");
      level.eps = number("levels", levels[l], "eps");
      level.momentum = number("levels", levels[l], "momentum");
      require_size("levels: size", level.size);
      require(level.group >= 1 && positions % level.group == 0, "levels: the groups must divide block");
      positions /= level.group;
      parameters += double(level.group) * double(inputs) * double(level.size);
      inputs = level.size;
      has_batch_norm_ = has_batch_norm_ || level.batch_norm;
    }
    require(positions == 1, "levels: the groups must multiply to block");
    require(!levels.empty() || embed == vocab, "without levels the embedding must be (vocab, vocab)");
    if (!levels.empty()) parameters += double(inputs) * double(vocab);
    require(parameters <= kMostParameters, "vocab, embed and levels: an engine holds at most 2^40 parameters");
    const engine::Optimizer settings = optimizer_of(optimizer);
    set_engine(engine::make_step_engine(network_, settings, dtype()), settings);
  }

  void take_statistics(int64_t level, nb::handle mean, nb::handle var) {
    const Exclusive use(busy_, kWhat);
    const int64_t size = size_of_level(level);
    engine_->take_statistics(level, values("mean", mean, size).data(), values("var", var, size).data());
  }
  void give_statistics(int64_t level, nb::handle mean, nb::handle var) {
    const Exclusive use(busy_, kWhat);
    const int64_t size = size_of_level(level);
    engine_->give_statistics(level, room("mean", mean, size).data(), room("var", var, size).data());
  }
  // Gives the engine the examples that run draws from: they are checked and numbered once, not in every call.
  void set_examples(nb::handle tokens_array, nb::handle targets_array) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const auto tokens = readable<int32_t>("tokens", tokens_array);     // (n, block)
    const auto targets = readable<int32_t>("targets", targets_array);  // (n)
    const int64_t n = examples(tokens);
    require(size_of(targets) == n, "targets: got " + std::to_string(targets.size()) + " for " + std::to_string(n) +
                                       " examples, expected as many");
    check_symbols(tokens.data(), size_of(tokens), "tokens");
    check_symbols(targets.data(), size_of(targets), "targets");
    {
      const nb::gil_scoped_release release;
      engine_->set_examples(tokens.data(), targets.data(), n);
    }
    num_examples_ = n;
  }

  // steps_done is then as many as there are learning rates, or fewer where an exception says why.
  void run(nb::handle indices_array, nb::handle rates_array, nb::handle losses_array, nb::handle shares_array) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const StepArrays a = step_arrays(indices_array, rates_array, losses_array, shares_array, averages_, network_.block);
    // As torch.nn.BatchNorm1d does.
    require(a.batch > 1 || !has_batch_norm_ || has_positions(),
            "indices: got a batch of 1, expected more than 1 value per channel when training with batch norm");
    check_range(a.indices.data(), size_of(a.indices), num_examples_, "indices");
    engine::Steps steps = a.steps();
    int64_t slice = 1;
    while (steps_done() < a.count) {
      steps.count = std::min(slice, a.count - steps_done());
      const auto began = std::chrono::steady_clock::now();
      {
        const nb::gil_scoped_release release;
        threads::ThreadContext context;
        engine_->run(steps, context);
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      slice = std::max<int64_t>(
          1, std::min<int64_t>(4 * slice, static_cast<int64_t>(steps.count * kSliceSeconds / (seconds + 1e-9))));
      steps_done_ += steps.count;
      steps.indices += steps.count * a.batch;
      steps.learning_rates += steps.count;
      steps.losses += steps.count;
      if (averages_) steps.average_shares += steps.count;
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }

  void logits(nb::handle tokens_array, nb::handle result_array) {
    const Exclusive use(busy_, kWhat);
    const auto tokens = readable<int32_t>("tokens", tokens_array);  // (n, block)
    const int64_t n = examples(tokens);
    check_symbols(tokens.data(), size_of(tokens), "tokens");
    const Room result = room("logits", result_array, n * network_.vocab);  // (n, vocab)
    require_apart("logits", result, "tokens", tokens);
    const nb::gil_scoped_release release;
    threads::ThreadContext context;
    engine_->logits(tokens.data(), n, result.data(), context);
  }

 private:
  bool has_positions() const {
    for (int64_t l = 0, positions = network_.block; l < network_.level_count; ++l) {
      positions /= network_.levels[l].group;
      if (network_.levels[l].batch_norm && positions == 1) return false;
    }
    return true;
  }
  int64_t size_of_level(int64_t level) const {
    require(level >= 0 && level < network_.level_count && network_.levels[level].batch_norm, "there is no such level");
    return network_.levels[level].size;
  }
  int64_t examples(const Readable<int32_t>& tokens) const {
    require(tokens.ndim() == 2 && static_cast<int64_t>(tokens.shape(1)) == network_.block,
            "tokens must be (n, " + std::to_string(network_.block) + ")");
    return static_cast<int64_t>(tokens.shape(0));
  }
  void check_symbols(const int32_t* symbols, int64_t count, const char* name) const {
    check_range(symbols, count, network_.vocab, name);
  }
  template <class Value>
  void check_range(const Value* values, int64_t count, int64_t limit, const char* name) const {
    if (engine_->all_below(values, count, limit)) return;
    const Value* wrong = std::find_if(values, values + count, [=](Value v) { return v < 0 || v >= limit; });
    refuse_value(name, *wrong, 0, limit);
  }

  engine::Network network_{};
  bool has_batch_norm_ = false;
};

}  // namespace

void bind_step_engine(nb::module_& m) {
  using nb::arg;
  nb::class_<PyStepEngine>(m, "StepEngine", "Whole training steps; namegen_ext.engine.StepEngine is what to use.")
      .def(nb::init<int64_t, int64_t, int64_t, const std::vector<nb::dict>&, bool, const nb::dict&, bool>(),
           nb::kw_only(), arg("vocab"), arg("block"), arg("embed"), arg("levels"), arg("output_bias"), arg("optimizer"),
           arg("float64"))
      .def("parameter_shapes", &PyStepEngine::parameter_shapes)
      .def("take", &PyStepEngine::take, arg("parameter"), arg("slot"), arg("array"))
      .def("give", &PyStepEngine::give, arg("parameter"), arg("slot"), arg("array"))
      .def("take_statistics", &PyStepEngine::take_statistics, arg("level"), arg("mean"), arg("var"))
      .def("give_statistics", &PyStepEngine::give_statistics, arg("level"), arg("mean"), arg("var"))
      .def("set_updates", &PyStepEngine::set_updates, arg("updates"))
      .def_prop_ro("steps_done", &PyStepEngine::steps_done)
      .def("set_examples", &PyStepEngine::set_examples, arg("tokens"), arg("targets"))
      .def("run", &PyStepEngine::run, arg("indices"), arg("learning_rates"), arg("losses"),
           arg("average_shares") = nb::none())
      .def("logits", &PyStepEngine::logits, arg("tokens"), arg("logits"));
}

}  // namespace namegen::bindings
