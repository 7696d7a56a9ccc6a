// namegen_ext._core.GptEngine: the GPT's training engine on arrays of numpy, which share memory with torch's tensors.
#include "engine/gpt/gpt_engine.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "bindings/gpt_network.h"
#include "bindings/parts.h"
#include "bindings/training.h"
#include "threads/thread_context.h"

namespace namegen::bindings {
namespace {

// How long the engine works before the next look for Ctrl-C.
constexpr double kLookSeconds = 0.02;
// The number of sequences that one forest evaluates.
constexpr int64_t kEvaluatedSequences = 4096;

// Looks for Ctrl-C during a call that has released the interpreter. Only the thread that made the call may look; it
// tells the others.
class CtrlC {
 public:
  engine::Interrupt interrupt() {
    return {[](void* state) { return static_cast<CtrlC*>(state)->asked(); }, this};
  }
  // Raises what the signal's handler raised; called with the interpreter held.
  void raise() const {
    if (stop_ || PyErr_CheckSignals() != 0) throw nb::python_error();
  }

 private:
  bool asked() {
    if (std::this_thread::get_id() == caller_ && !stop_) {
      const auto now = std::chrono::steady_clock::now();
      if (std::chrono::duration<double>(now - last_).count() > kLookSeconds) {
        last_ = now;
        const nb::gil_scoped_acquire held;
        if (PyErr_CheckSignals() != 0) stop_ = true;
      }
    }
    return stop_;
  }

  const std::thread::id caller_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_ = false;
};

class PyGptEngine : public PyEngine<engine::GptEngine> {
 public:
  PyGptEngine(int64_t vocab, int64_t block, int64_t embed, int64_t layers, int64_t heads, int64_t hidden, bool tied,
              double eps, const std::string& norm, const std::string& activation, bool biases, bool final_norm,
              bool embedding_norm, const nb::dict& optimizer, bool float64)
      : PyEngine(float64),
        network_{vocab,
                 block,
                 embed,
                 layers,
                 heads,
                 hidden,
                 tied,
                 eps,
                 biases,
                 final_norm,
                 embedding_norm,
                 choice("norm", norm, kGptNorms),
                 choice("activation", activation, kGptActivations)} {
    check_gpt_network(network_);
    const engine::Optimizer settings = optimizer_of(optimizer);
    set_engine(engine::make_gpt_engine(network_, settings, dtype()), settings);
  }

  // Gives the engine the sequences that run draws from: they are checked and sorted once, not in every call.
  void set_examples(nb::handle tokens_array, nb::handle targets_array) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const Sequences s = sequences(tokens_array, targets_array);
    {
      const nb::gil_scoped_release release;
      engine_->set_examples(s.tokens.data(), s.targets.data(), s.count);
    }
    num_examples_ = s.count;
  }

  // steps_done is then as many as there are learning rates, or fewer where an exception says why.
  void run(nb::handle indices_array, nb::handle rates_array, nb::handle losses_array, nb::handle shares_array) {
    const Exclusive use(busy_, kWhat);
    steps_done_ = 0;
    const StepArrays a = step_arrays(indices_array, rates_array, losses_array, shares_array, averages_, network_.block);
    check_values("indices", a.indices, 0, num_examples_);
    CtrlC ctrl_c;
    struct Counter {
      std::atomic<int64_t>& to;
      int64_t steps = 0;
      ~Counter() { to.store(steps, std::memory_order_relaxed); }  // an exception passes by here too
    };
    {
      const nb::gil_scoped_release release;
      threads::ThreadContext context;
      Counter done{steps_done_};
      engine_->run(a.steps(), context, ctrl_c.interrupt(), &done.steps);
    }
    ctrl_c.raise();
  }

  // The sum of the losses of all targets that are not ignored, in nats.
  double sum_of_losses(nb::handle tokens_array, nb::handle targets_array) {
    const Exclusive use(busy_, kWhat);
    const Sequences s = sequences(tokens_array, targets_array);
    engine::SequenceSet set;
    {
      const nb::gil_scoped_release release;
      set.assign(s.tokens.data(), s.targets.data(), s.count, network_.block);
    }
    // A forest's nodes are numbered in 32 bits.
    const int64_t slice = std::max<int64_t>(1, std::min(kEvaluatedSequences, INT32_MAX / network_.block));
    double sum = 0;
    CtrlC ctrl_c;
    for (int64_t first = 0; first < s.count; first += slice) {
      {
        const nb::gil_scoped_release release;
        threads::ThreadContext context;
        sum += engine_->sum_of_losses(set, first, std::min(first + slice, s.count), context, ctrl_c.interrupt());
      }
      ctrl_c.raise();
    }
    return sum;
  }

 private:
  struct Sequences {
    Readable<int32_t> tokens, targets;  // (count, block)
    int64_t count;
  };

  Sequences sequences(nb::handle tokens_array, nb::handle targets_array) const {
    Sequences s{readable<int32_t>("tokens", tokens_array), readable<int32_t>("targets", targets_array), 0};
    const std::pair<const char*, const Readable<int32_t>&> arrays[] = {{"tokens", s.tokens}, {"targets", s.targets}};
    for (const auto& [name, array] : arrays) {
      require(array.ndim() == 2 && static_cast<int64_t>(array.shape(1)) == network_.block,
              std::string(name) + " must be (n, " + std::to_string(network_.block) + ")");
    }
    s.count = static_cast<int64_t>(s.tokens.shape(0));
    require(static_cast<int64_t>(s.targets.shape(0)) == s.count, "targets: got " + std::to_string(s.targets.shape(0)) +
                                                                     " rows for " + std::to_string(s.count) +
                                                                     " of tokens, expected as many");
    check_values("tokens", s.tokens, 0, network_.vocab);
    check_values("targets", s.targets, engine::kIgnored, network_.vocab);
    return s;
  }

  // Values lie in [least, limit).
  template <class Array>
  static void check_values(const char* name, const Array& array, int64_t least, int64_t limit) {
    const auto* end = array.data() + array.size();
    const auto* wrong =
        std::find_if(array.data(), end, [=](auto v) { return int64_t(v) < least || int64_t(v) >= limit; });
    if (wrong != end) refuse_value(name, *wrong, least, limit);
  }

  const engine::GptNetwork network_;
};

}  // namespace

void bind_gpt_engine(nb::module_& m) {
  using nb::arg;
  nb::class_<PyGptEngine>(m, "GptEngine",
                          "Whole training steps of a GPT; namegen_ext.engine.StepEngine is what to use.")
      .def(nb::init<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, double, const std::string&,
                    const std::string&, bool, bool, bool, const nb::dict&, bool>(),
           nb::kw_only(), arg("vocab"), arg("block"), arg("embed"), arg("layers"), arg("heads"), arg("hidden"),
           arg("tied"), arg("eps"), arg("norm"), arg("activation"), arg("biases"), arg("final_norm"),
           arg("embedding_norm"), arg("optimizer"), arg("float64"))
      .def("parameter_shapes", &PyGptEngine::parameter_shapes)
      .def("take", &PyGptEngine::take, arg("parameter"), arg("slot"), arg("array"))
      .def("give", &PyGptEngine::give, arg("parameter"), arg("slot"), arg("array"))
      .def("set_updates", &PyGptEngine::set_updates, arg("updates"))
      .def_prop_ro("steps_done", &PyGptEngine::steps_done)
      .def("set_examples", &PyGptEngine::set_examples, arg("tokens"), arg("targets"))
      .def("run", &PyGptEngine::run, arg("indices"), arg("learning_rates"), arg("losses"),
           arg("average_shares") = nb::none())
      .def("sum_of_losses", &PyGptEngine::sum_of_losses, arg("tokens"), arg("targets"));
}

}  // namespace namegen::bindings
