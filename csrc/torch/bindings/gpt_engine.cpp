// namegen_ext._C.GptEngine: the GPT's training engine on arrays of numpy, which share memory with torch's tensors.
#include "engine/gpt/gpt_engine.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bindings/bindings.h"
#include "engine/gpt/dispatch.h"
#include "ops/common.h"

namespace py = pybind11;

namespace namegen::bindings {
namespace {

template <class T>
using DenseArray = py::array_t<T, py::array::c_style>;

// A call looks for Ctrl-C this often.
constexpr double kLookSeconds = 0.02;
// So many sequences are evaluated from one forest.
constexpr int64_t kEvaluatedSequences = 4096;

constexpr int64_t kLargestSize = INT32_MAX;
constexpr double kMostGptParameters = double(int64_t{1} << 40);

void expect(bool condition, const std::string& message) {
  if (!condition) throw py::value_error(message);
}

void expect_aligned(const char* name, const py::array& array) {
  expect((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0,
         std::string(name) + " must be aligned to its type");
}

// What is written must share no memory with what is read: it was checked before.
void expect_apart(const char* written, const py::array& target, const char* read, const py::array& source) {
  const auto* begin = static_cast<const char*>(target.data());
  const auto* other = static_cast<const char*>(source.data());
  expect(begin + target.nbytes() <= other || other + source.nbytes() <= begin,
         std::string(written) + " must share no memory with " + read);
}

template <class Value>
void expect_range(const char* name, const Value* values, int64_t count, int64_t least, int64_t limit) {
  const Value* wrong = std::find_if(values, values + count, [=](Value v) { return v < least || int64_t(v) >= limit; });
  if (wrong == values + count) return;
  throw py::index_error(std::string(name) + ": got " + std::to_string(*wrong) + ", expected " + std::to_string(least) +
                        " to " + std::to_string(limit - 1));
}

// Ctrl-C during a call that has released the interpreter: the thread that made the call looks for it, now and then, and
// tells the others.
class CtrlC {
 public:
  engine::Interrupt interrupt() {
    return {[](void* state) { return static_cast<CtrlC*>(state)->asked(); }, this};
  }
  // With the interpreter held: raises what the signal's handler raised.
  void raise() const {
    if (stop_ || PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  bool asked() {
    if (std::this_thread::get_id() == caller_ && !stop_) {
      const auto now = std::chrono::steady_clock::now();
      if (std::chrono::duration<double>(now - last_).count() > kLookSeconds) {
        last_ = now;
        const py::gil_scoped_acquire held;
        if (PyErr_CheckSignals() != 0) stop_ = true;
      }
    }
    return stop_;
  }

  const std::thread::id caller_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_ = false;
};

class PyGptEngine {
 public:
  PyGptEngine(int64_t vocab, int64_t block, int64_t embed, int64_t layers, int64_t heads, int64_t hidden, bool tied,
              double eps, const py::dict& optimizer, bool float64)
      : network_{vocab, block, embed, layers, heads, hidden, tied, eps}, float64_(float64) {
    const std::pair<const char*, int64_t> sizes[] = {{"vocab", vocab},   {"block", block}, {"embed", embed},
                                                     {"layers", layers}, {"heads", heads}, {"hidden", hidden}};
    for (const auto& [name, size] : sizes) {
      expect(size >= 1 && size <= kLargestSize,
             std::string(name) + ": got " + std::to_string(size) + ", expected 1 to " + std::to_string(kLargestSize));
    }
    expect(embed % heads == 0,
           "heads: got " + std::to_string(heads) + ", expected a divisor of embed " + std::to_string(embed));
    const double width = double(embed), layer = width * (4 * width + 2 * double(hidden) + 16) + double(hidden);
    expect(width * (2 * double(vocab) + double(block)) + double(layers) * layer <= kMostGptParameters,
           "vocab, block, embed, layers and hidden: an engine holds at most 2^40 parameters");
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
    engine_ = engine::make_gpt_engine(network_, settings, float64 ? DType::kFloat64 : DType::kFloat32);
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
    check("array", array, size_of(parameter));
    engine_->take(parameter, checked_slot(slot), array.data());
  }
  void give(int64_t parameter, int64_t slot, py::array& array) {
    const Exclusive use(busy_, kWhat);
    check("array", array, size_of(parameter));
    engine_->give(parameter, checked_slot(slot), array.mutable_data());
  }
  void give_gradient(int64_t parameter, py::array& array) {
    const Exclusive use(busy_, kWhat);
    check("array", array, size_of(parameter));
    engine_->give_gradient(parameter, array.mutable_data());
  }
  void set_updates(int64_t updates) {
    const Exclusive use(busy_, kWhat);
    expect(updates >= 0 && updates <= INT64_MAX / 2,
           "updates: got " + std::to_string(updates) + ", expected 0 to 2^62");
    engine_->set_updates(updates);
  }
  int64_t steps_done() const { return steps_done_; }

  void set_examples(const DenseArray<int32_t>& tokens, const DenseArray<int32_t>& targets) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const int64_t n = checked_sequences(tokens, targets);
    {
      py::gil_scoped_release release;
      engine_->set_examples(tokens.data(), targets.data(), n);
    }
    num_examples_ = n;
  }

  // steps_done is then as many as there are learning rates, or fewer where an exception says why.
  void run(const DenseArray<int64_t>& indices, const DenseArray<double>& learning_rates, DenseArray<double>& losses) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    expect(indices.ndim() == 2, "indices must be (steps, batch)");
    const int64_t count = indices.shape(0), batch = indices.shape(1);
    expect(batch >= 1, "indices: got a batch of 0, expected at least 1 example");
    // A minibatch's nodes are numbered in 32 bits.
    expect(batch <= INT32_MAX / network_.block, "indices: got a batch of " + std::to_string(batch) +
                                                    ", expected at most " + std::to_string(INT32_MAX / network_.block) +
                                                    " examples of this model");
    expect(learning_rates.size() == count, "learning_rates: got " + std::to_string(learning_rates.size()) + " for " +
                                               std::to_string(count) + " steps, expected as many");
    expect(losses.size() == count, "losses: got room for " + std::to_string(losses.size()) + ", expected " +
                                       std::to_string(count) + ", one a step");
    expect_aligned("losses", losses);
    const std::pair<const char*, const py::array&> inputs[] = {{"indices", indices},
                                                               {"learning_rates", learning_rates}};
    for (const auto& [name, array] : inputs) {
      expect_aligned(name, array);
      expect_apart("losses", losses, name, array);
    }
    expect_range("indices", indices.data(), indices.size(), 0, num_examples_);
    engine::Steps steps{indices.data(), learning_rates.data(), losses.mutable_data(), 0, batch};
    CtrlC ctrl_c;
    {
      const py::gil_scoped_release release;
      ops::TorchContext context;
      steps.count = count;
      steps_done_ = engine_->run(steps, context, ctrl_c.interrupt());
    }
    ctrl_c.raise();
  }

  // The sum of the losses of all targets that are not ignored, in nats.
  double sum_of_losses(const DenseArray<int32_t>& tokens, const DenseArray<int32_t>& targets) {
    const Exclusive use(busy_, kWhat);
    const int64_t n = checked_sequences(tokens, targets);
    engine::SequenceSet set;
    {
      py::gil_scoped_release release;
      set.assign(tokens.data(), targets.data(), n, network_.block);
    }
    // A forest's nodes are numbered in 32 bits.
    const int64_t slice = std::max<int64_t>(1, std::min(kEvaluatedSequences, INT32_MAX / network_.block));
    double sum = 0;
    CtrlC ctrl_c;
    for (int64_t first = 0; first < n; first += slice) {
      {
        const py::gil_scoped_release release;
        ops::TorchContext context;
        sum += engine_->sum_of_losses(set, first, std::min(first + slice, n), context, ctrl_c.interrupt());
      }
      ctrl_c.raise();
    }
    return sum;
  }

 private:
  int64_t size_of(int64_t parameter) const {
    expect(parameter >= 0 && parameter < engine_->parameter_count(), "there is no such parameter");
    const engine::ParameterShape shape = engine_->parameter_shape(parameter);
    return shape.rows * shape.columns;
  }
  engine::Slot checked_slot(int64_t slot) const {
    expect(slot >= 0 && slot < slots_,
           "slot: got " + std::to_string(slot) + ", expected 0 to " + std::to_string(slots_ - 1));
    return static_cast<engine::Slot>(slot);
  }
  void check(const char* name, const py::array& array, int64_t size) const {
    const bool right_type =
        float64_ ? py::isinstance<DenseArray<double>>(array) : py::isinstance<DenseArray<float>>(array);
    expect(right_type && array.size() == size, std::string(name) + ": expected " + std::to_string(size) +
                                                   " contiguous values of " + (float64_ ? "float64" : "float32"));
    expect_aligned(name, array);
  }
  int64_t checked_sequences(const DenseArray<int32_t>& tokens, const DenseArray<int32_t>& targets) const {
    const std::pair<const char*, const DenseArray<int32_t>&> arrays[] = {{"tokens", tokens}, {"targets", targets}};
    for (const auto& [name, array] : arrays) {
      expect(array.ndim() == 2 && array.shape(1) == network_.block,
             std::string(name) + " must be (n, " + std::to_string(network_.block) + ")");
      expect_aligned(name, array);
    }
    expect(tokens.shape(0) == targets.shape(0), "targets: got " + std::to_string(targets.shape(0)) + " rows for " +
                                                    std::to_string(tokens.shape(0)) + " of tokens, expected as many");
    expect_range("tokens", tokens.data(), tokens.size(), 0, network_.vocab);
    expect_range("targets", targets.data(), targets.size(), engine::kIgnored, network_.vocab);
    return tokens.shape(0);
  }

  static constexpr const char* kWhat = "the engine";

  const engine::GptNetwork network_;
  const bool float64_;
  int64_t slots_ = 1;  // arrays that it keeps for a parameter
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  int64_t num_examples_ = 0;  // that the engine has
  int64_t steps_done_ = 0;    // in the last call of run
  std::unique_ptr<engine::GptEngine> engine_;
};

}  // namespace

void bind_gpt_engine(py::module_& m) {
  py::class_<PyGptEngine>(m, "GptEngine",
                          "Whole training steps of a GPT; namegen_ext.engine.StepEngine is what to use.")
      .def(py::init<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, double, const py::dict&, bool>(),
           py::kw_only(), py::arg("vocab"), py::arg("block"), py::arg("embed"), py::arg("layers"), py::arg("heads"),
           py::arg("hidden"), py::arg("tied"), py::arg("eps"), py::arg("optimizer"), py::arg("float64"))
      .def("parameter_shapes", &PyGptEngine::parameter_shapes)
      .def("take", &PyGptEngine::take)
      .def("give", &PyGptEngine::give)
      .def("give_gradient", &PyGptEngine::give_gradient)
      .def("set_updates", &PyGptEngine::set_updates)
      .def_property_readonly("steps_done", &PyGptEngine::steps_done)
      .def("set_examples", &PyGptEngine::set_examples, py::arg("tokens").noconvert(), py::arg("targets").noconvert())
      .def("run", &PyGptEngine::run, py::arg("indices").noconvert(), py::arg("learning_rates").noconvert(),
           py::arg("losses").noconvert())
      .def("sum_of_losses", &PyGptEngine::sum_of_losses, py::arg("tokens").noconvert(), py::arg("targets").noconvert());
}

}  // namespace namegen::bindings
