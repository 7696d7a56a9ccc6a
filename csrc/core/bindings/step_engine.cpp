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

#include "bindings/arrays.h"
#include "bindings/exclusive.h"
#include "bindings/parts.h"
#include "engine/training/dispatch.h"
#include "threads/thread_context.h"

namespace namegen::bindings {
namespace {

// How long steps run before the next look for Ctrl-C.
constexpr double kSliceSeconds = 0.02;

// Sizes and numbers of parameters up to which no product overflows; memory ends long before.
constexpr int64_t kMostSize = INT32_MAX;
constexpr double kMostParameters = double(int64_t{1} << 40);

void require(bool condition, const std::string& message) {
  if (!condition) throw nb::value_error(message.c_str());
}

void require_size(const char* name, int64_t size) {
  require(size >= 1 && size <= kMostSize,
          std::string(name) + ": got " + std::to_string(size) + ", expected 1 to " + std::to_string(kMostSize));
}

// Raises ValueError where memory that is written lies in memory that is read, whose values were checked before.
template <class Target, class Source>
void require_apart(const char* written, const Target& target, const char* read, const Source& source) {
  const auto* begin = reinterpret_cast<const char*>(target.data());
  const auto* other = reinterpret_cast<const char*>(source.data());
  require(begin + target.nbytes() <= other || other + source.nbytes() <= begin,
          std::string(written) + " must share no memory with " + read);
}

// A setting of a dict. Raises KeyError where it is missing, TypeError where it is of another type.
template <class T>
T setting(const char* argument, const nb::dict& settings, const char* name, const char* expected) {
  const nb::object value = settings[name];
  T result{};
  if (!nb::try_cast(value, result)) {
    const std::string text =
        std::string(argument) + ": " + name + ": expected " + expected + ", got " + nb::repr(value).c_str();
    throw nb::type_error(text.c_str());
  }
  return result;
}

int64_t integer(const char* argument, const nb::dict& settings, const char* name) {
  return setting<int64_t>(argument, settings, name, "an integer");
}
bool flag(const char* argument, const nb::dict& settings, const char* name) {
  return setting<bool>(argument, settings, name, "True or False");
}
double number(const char* argument, const nb::dict& settings, const char* name) {
  return setting<double>(argument, settings, name, "a number");
}

class PyStepEngine {
 public:
  PyStepEngine(int64_t vocab, int64_t block, int64_t embed, const std::vector<nb::dict>& levels, bool output_bias,
               const nb::dict& optimizer, bool float64)
      : float64_(float64) {
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
    const auto of_optimizer = [&](const char* name) { return number("optimizer", optimizer, name); };
    const engine::Optimizer settings{
        flag("optimizer", optimizer, "adamw") ? engine::OptimizerKind::kAdamW : engine::OptimizerKind::kSgd,
        of_optimizer("weight_decay"),
        of_optimizer("momentum"),
        flag("optimizer", optimizer, "nesterov"),
        of_optimizer("beta1"),
        of_optimizer("beta2"),
        of_optimizer("eps")};
    slots_ = settings.kind == engine::OptimizerKind::kAdamW ? 3 : settings.momentum != 0 ? 2 : 1;
    engine_ = engine::make_step_engine(network_, settings, float64 ? DType::kFloat64 : DType::kFloat32);
  }

  std::vector<std::pair<int64_t, int64_t>> parameter_shapes() const {
    std::vector<std::pair<int64_t, int64_t>> shapes;
    for (int64_t p = 0; p < engine_->parameter_count(); ++p) {
      const engine::ParameterShape shape = engine_->parameter_shape(p);
      shapes.emplace_back(shape.rows, shape.columns);
    }
    return shapes;
  }

  void take(int64_t parameter, int64_t slot, nb::handle array) {
    const Exclusive use(busy_, kWhat);
    engine_->take(parameter, checked_slot(slot), values("array", array, size_of_parameter(parameter)).data());
  }
  void give(int64_t parameter, int64_t slot, nb::handle array) {
    const Exclusive use(busy_, kWhat);
    engine_->give(parameter, checked_slot(slot), room("array", array, size_of_parameter(parameter)).data());
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
  void set_updates(int64_t updates) {
    const Exclusive use(busy_, kWhat);
    require(updates >= 0 && updates <= INT64_MAX / 2,
            "updates: got " + std::to_string(updates) + ", expected 0 to 2^62");
    engine_->set_updates(updates);
  }

  int64_t steps_done() const { return steps_done_; }

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
  void run(nb::handle indices_array, nb::handle rates_array, nb::handle losses_array) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const auto indices = readable<int64_t>("indices", indices_array);             // (steps, batch)
    const auto learning_rates = readable<double>("learning_rates", rates_array);  // (steps)
    const auto losses = writable<double>("losses", losses_array);                 // (steps)
    require(indices.ndim() == 2, "indices must be (steps, batch)");
    const auto count = static_cast<int64_t>(indices.shape(0)), batch = static_cast<int64_t>(indices.shape(1));
    require(batch >= 1, "indices: got a batch of 0, expected at least 1 example");
    // A minibatch's tokens are numbered in 32 bits.
    require(batch <= INT32_MAX / network_.block,
            "indices: got a batch of " + std::to_string(batch) + ", expected at most " +
                std::to_string(INT32_MAX / network_.block) + " examples of this model");
    // As torch.nn.BatchNorm1d does.
    require(batch > 1 || !has_batch_norm_ || has_positions(),
            "indices: got a batch of 1, expected more than 1 value per channel when training with batch norm");
    require(size_of(learning_rates) == count, "learning_rates: got " + std::to_string(learning_rates.size()) + " for " +
                                                  std::to_string(count) + " steps, expected as many");
    require(size_of(losses) == count, "losses: got room for " + std::to_string(losses.size()) + ", expected " +
                                          std::to_string(count) + ", one a step");
    require_apart("losses", losses, "indices", indices);
    require_apart("losses", losses, "learning_rates", learning_rates);
    check_range(indices.data(), size_of(indices), num_examples_, "indices");
    engine::Steps steps{indices.data(), learning_rates.data(), losses.data(), 0, batch};
    int64_t slice = 1;
    while (steps_done_ < count) {
      steps.count = std::min(slice, count - steps_done_);
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
      steps.indices += steps.count * batch;
      steps.learning_rates += steps.count;
      steps.losses += steps.count;
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
  // Memory of values of the engine's type, to read and to write.
  using Values = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  using Room = nb::ndarray<nb::c_contig, nb::device::cpu>;

  bool has_positions() const {
    for (int64_t l = 0, positions = network_.block; l < network_.level_count; ++l) {
      positions /= network_.levels[l].group;
      if (network_.levels[l].batch_norm && positions == 1) return false;
    }
    return true;
  }
  int64_t size_of_parameter(int64_t parameter) const {
    require(parameter >= 0 && parameter < engine_->parameter_count(), "there is no such parameter");
    const engine::ParameterShape shape = engine_->parameter_shape(parameter);
    return shape.rows * shape.columns;
  }
  int64_t size_of_level(int64_t level) const {
    require(level >= 0 && level < network_.level_count && network_.levels[level].batch_norm, "there is no such level");
    return network_.levels[level].size;
  }
  engine::Slot checked_slot(int64_t slot) const {
    require(slot >= 0 && slot < slots_,
            "slot: got " + std::to_string(slot) + ", expected 0 to " + std::to_string(slots_ - 1));
    return static_cast<engine::Slot>(slot);
  }
  template <class Array>
  static int64_t size_of(const Array& array) {
    return static_cast<int64_t>(array.size());
  }
  template <class Array>
  static void require_values(const char* name, const Array& array, int64_t size) {
    require(size_of(array) == size,
            std::string(name) + ": expected " + std::to_string(size) + " values, got " + std::to_string(array.size()));
  }
  Values values(const char* name, nb::handle array, int64_t size) const {
    const Values result = float64_ ? Values(readable<double>(name, array)) : Values(readable<float>(name, array));
    require_values(name, result, size);
    return result;
  }
  Room room(const char* name, nb::handle array, int64_t size) const {
    const Room result = float64_ ? Room(writable<double>(name, array)) : Room(writable<float>(name, array));
    require_values(name, result, size);
    return result;
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
    throw std::out_of_range(std::string(name) + ": got " + std::to_string(*wrong) + ", expected 0 to " +
                            std::to_string(limit - 1));
  }

  static constexpr const char* kWhat = "the engine";

  engine::Network network_{};
  bool float64_;
  int64_t slots_ = 1;  // arrays that it keeps for a parameter
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  bool has_batch_norm_ = false;
  int64_t num_examples_ = 0;  // that the engine has
  int64_t steps_done_ = 0;    // in the last call of run
  std::unique_ptr<engine::StepEngine> engine_;
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
      .def("run", &PyStepEngine::run, arg("indices"), arg("learning_rates"), arg("losses"))
      .def("logits", &PyStepEngine::logits, arg("tokens"), arg("logits"));
}

}  // namespace namegen::bindings
