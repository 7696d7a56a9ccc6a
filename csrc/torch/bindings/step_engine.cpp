// namegen_ext._C.StepEngine: the training engine on arrays of numpy, which share memory with torch's tensors.
#include "engine/training/step_engine.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "engine/training/step_engine.h"
#include "ops/common.h"

namespace py = pybind11;

namespace namegen::bindings {
namespace {

template <class T>
using ArrayOf = py::array_t<T, py::array::c_style>;

// Between looks for Ctrl-C.
constexpr double kSliceSeconds = 0.02;

// Sizes and numbers of parameters up to which no product overflows; memory ends long before.
constexpr int64_t kMostSize = INT32_MAX;
constexpr double kMostParameters = double(int64_t{1} << 40);

void require(bool condition, const std::string& message) {
  if (!condition) throw py::value_error(message);
}

void require_size(const char* name, int64_t size) {
  require(size >= 1 && size <= kMostSize,
          std::string(name) + ": got " + std::to_string(size) + ", expected 1 to " + std::to_string(kMostSize));
}

void require_aligned(const char* name, const py::array& array) {
  require((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0,
          std::string(name) + " must be aligned to its type");
}

// What is written must share no memory with what is read: it was checked before.
void require_apart(const char* written, const py::array& target, const char* read, const py::array& source) {
  const auto* begin = static_cast<const char*>(target.data());
  const auto* other = static_cast<const char*>(source.data());
  require(begin + target.nbytes() <= other || other + source.nbytes() <= begin,
          std::string(written) + " must share no memory with " + read);
}

class PyStepEngine {
 public:
  PyStepEngine(int64_t vocab, int64_t block, int64_t embed, const std::vector<py::dict>& levels, bool output_bias,
               const py::dict& optimizer, bool float64)
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
      level.group = levels[l]["group"].cast<int64_t>();
      level.size = levels[l]["size"].cast<int64_t>();
      level.bias = levels[l]["bias"].cast<bool>();
      level.batch_norm = levels[l]["batch_norm"].cast<bool>();
      level.unbiased = levels[l]["unbiased"].cast<bool>();
      level.eps = levels[l]["eps"].cast<double>();
      level.momentum = levels[l]["momentum"].cast<double>();
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
    const auto number = [&](const char* name) { return optimizer[name].cast<double>(); };
    const engine::Optimizer settings{
        optimizer["adamw"].cast<bool>() ? engine::OptimizerKind::kAdamW : engine::OptimizerKind::kSgd,
        number("weight_decay"),
        number("momentum"),
        optimizer["nesterov"].cast<bool>(),
        number("beta1"),
        number("beta2"),
        number("eps")};
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

  void take(int64_t parameter, int64_t slot, const py::array& array) {
    const Exclusive use(busy_, kWhat);
    engine_->take(parameter, checked_slot(slot), checked("array", array, size_of(parameter)));
  }
  void give(int64_t parameter, int64_t slot, py::array& array) {
    const Exclusive use(busy_, kWhat);
    engine_->give(parameter, checked_slot(slot), checked_mutable("array", array, size_of(parameter)));
  }
  void take_statistics(int64_t level, const py::array& mean, const py::array& var) {
    const Exclusive use(busy_, kWhat);
    const int64_t size = size_of_level(level);
    engine_->take_statistics(level, checked("mean", mean, size), checked("var", var, size));
  }
  void give_statistics(int64_t level, py::array& mean, py::array& var) {
    const Exclusive use(busy_, kWhat);
    const int64_t size = size_of_level(level);
    engine_->give_statistics(level, checked_mutable("mean", mean, size), checked_mutable("var", var, size));
  }
  void set_updates(int64_t updates) {
    const Exclusive use(busy_, kWhat);
    require(updates >= 0 && updates <= INT64_MAX / 2,
            "updates: got " + std::to_string(updates) + ", expected 0 to 2^62");
    engine_->set_updates(updates);
  }

  int64_t steps_done() const { return steps_done_; }

  // Gives the engine the examples that run draws from: they are checked and numbered once, not in every call.
  void set_examples(const ArrayOf<int32_t>& tokens, const ArrayOf<int32_t>& targets) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const int64_t n = examples(tokens);
    require(targets.size() == n, "targets: got " + std::to_string(targets.size()) + " for " + std::to_string(n) +
                                     " examples, expected as many");
    require_aligned("tokens", tokens);
    require_aligned("targets", targets);
    check_symbols(tokens.data(), tokens.size(), "tokens");
    check_symbols(targets.data(), targets.size(), "targets");
    {
      py::gil_scoped_release release;
      engine_->set_examples(tokens.data(), targets.data(), n);
    }
    num_examples_ = n;
  }

  // steps_done is then as many as there are learning rates, or fewer where an exception says why.
  void run(const ArrayOf<int64_t>& indices, const ArrayOf<double>& learning_rates, ArrayOf<double>& losses) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    require(indices.ndim() == 2, "indices must be (steps, batch)");
    const int64_t count = indices.shape(0), batch = indices.shape(1);
    require(batch >= 1, "indices: got a batch of 0, expected at least 1 example");
    // A minibatch's tokens are numbered in 32 bits.
    require(batch <= INT32_MAX / network_.block,
            "indices: got a batch of " + std::to_string(batch) + ", expected at most " +
                std::to_string(INT32_MAX / network_.block) + " examples of this model");
    // As torch.nn.BatchNorm1d does.
    require(batch > 1 || !has_batch_norm_ || has_positions(),
            "indices: got a batch of 1, expected more than 1 value per channel when training with batch norm");
    require(learning_rates.size() == count, "learning_rates: got " + std::to_string(learning_rates.size()) + " for " +
                                                std::to_string(count) + " steps, expected as many");
    require(losses.size() == count, "losses: got room for " + std::to_string(losses.size()) + ", expected " +
                                        std::to_string(count) + ", one a step");
    const std::pair<const char*, const py::array&> inputs[] = {{"indices", indices},
                                                               {"learning_rates", learning_rates}};
    require_aligned("losses", losses);
    for (const auto& [name, array] : inputs) {
      require_aligned(name, array);
      require_apart("losses", losses, name, array);
    }
    check_range(indices.data(), indices.size(), num_examples_, "indices");
    engine::Steps steps{indices.data(), learning_rates.data(), losses.mutable_data(), 0, batch};
    int64_t slice = 1;
    while (steps_done_ < count) {
      steps.count = std::min(slice, count - steps_done_);
      const auto began = std::chrono::steady_clock::now();
      {
        py::gil_scoped_release release;
        ops::TorchContext context;
        engine_->run(steps, context);
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      slice = std::max<int64_t>(
          1, std::min<int64_t>(4 * slice, static_cast<int64_t>(steps.count * kSliceSeconds / (seconds + 1e-9))));
      steps_done_ += steps.count;
      steps.indices += steps.count * batch;
      steps.learning_rates += steps.count;
      steps.losses += steps.count;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
  }

  void logits(const ArrayOf<int32_t>& tokens, py::array& result) {
    const Exclusive use(busy_, kWhat);
    const int64_t n = examples(tokens);
    require_aligned("tokens", tokens);
    check_symbols(tokens.data(), tokens.size(), "tokens");
    void* data = checked_mutable("logits", result, n * network_.vocab);
    require_apart("logits", result, "tokens", tokens);
    py::gil_scoped_release release;
    ops::TorchContext context;
    engine_->logits(tokens.data(), n, data, context);
  }

 private:
  bool has_positions() const {
    for (int64_t l = 0, positions = network_.block; l < network_.level_count; ++l) {
      positions /= network_.levels[l].group;
      if (network_.levels[l].batch_norm && positions == 1) return false;
    }
    return true;
  }
  int64_t size_of(int64_t parameter) const {
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
  void check(const char* name, const py::array& array, int64_t size) const {
    const bool right_type = float64_ ? py::isinstance<ArrayOf<double>>(array) : py::isinstance<ArrayOf<float>>(array);
    require(right_type && array.size() == size, std::string(name) + ": expected " + std::to_string(size) +
                                                    " contiguous values of " + (float64_ ? "float64" : "float32"));
    require_aligned(name, array);
  }
  const void* checked(const char* name, const py::array& array, int64_t size) const {
    check(name, array, size);
    return array.data();
  }
  void* checked_mutable(const char* name, py::array& array, int64_t size) const {
    check(name, array, size);
    return array.mutable_data();
  }
  int64_t examples(const ArrayOf<int32_t>& tokens) const {
    require(tokens.ndim() == 2 && tokens.shape(1) == network_.block,
            "tokens must be (n, " + std::to_string(network_.block) + ")");
    return tokens.shape(0);
  }
  void check_symbols(const int32_t* symbols, int64_t count, const char* name) const {
    check_range(symbols, count, network_.vocab, name);
  }
  template <class Value>
  void check_range(const Value* values, int64_t count, int64_t limit, const char* name) const {
    if (engine_->all_below(values, count, limit)) return;
    const Value* wrong = std::find_if(values, values + count, [=](Value v) { return v < 0 || v >= limit; });
    throw py::index_error(std::string(name) + ": got " + std::to_string(*wrong) + ", expected 0 to " +
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

void bind_step_engine(py::module_& m) {
  py::class_<PyStepEngine>(m, "StepEngine", "Whole training steps; namegen_ext.engine.StepEngine is what to use.")
      .def(py::init<int64_t, int64_t, int64_t, const std::vector<py::dict>&, bool, const py::dict&, bool>(),
           py::kw_only(), py::arg("vocab"), py::arg("block"), py::arg("embed"), py::arg("levels"),
           py::arg("output_bias"), py::arg("optimizer"), py::arg("float64"))
      .def("parameter_shapes", &PyStepEngine::parameter_shapes)
      .def("take", &PyStepEngine::take)
      .def("give", &PyStepEngine::give)
      .def("take_statistics", &PyStepEngine::take_statistics)
      .def("give_statistics", &PyStepEngine::give_statistics)
      .def("set_updates", &PyStepEngine::set_updates)
      .def_property_readonly("steps_done", &PyStepEngine::steps_done)
      .def("set_examples", &PyStepEngine::set_examples, py::arg("tokens").noconvert(), py::arg("targets").noconvert())
      .def("run", &PyStepEngine::run, py::arg("indices").noconvert(), py::arg("learning_rates").noconvert(),
           py::arg("losses").noconvert())
      .def("logits", &PyStepEngine::logits, py::arg("tokens").noconvert(), py::arg("logits"));
}

}  // namespace namegen::bindings
