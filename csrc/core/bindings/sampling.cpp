// namegen_ext._core.sampling: drawing names, csrc/core/engine/sampling.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/arrays.h"
#include "bindings/counts.h"
#include "bindings/exclusive.h"
#include "bindings/gpt_network.h"
#include "bindings/parts.h"
#include "engine/require.h"
#include "engine/sampling/conditioned.h"
#include "engine/sampling/counts_predictor.h"
#include "engine/sampling/direct_sampler.h"
#include "engine/sampling/gpt_predictor.h"
#include "engine/sampling/mixture.h"
#include "engine/sampling/name_scorer.h"
#include "engine/sampling/name_stream.h"
#include "engine/sampling/network.h"
#include "engine/sampling/steering/message_sampler.h"
#include "engine/sampling/steering/rejection_sampler.h"
#include "engine/sampling/table_sampler.h"

namespace namegen::bindings {

namespace {

using namespace namegen::sampling;

// Looks for Ctrl-C, which takes the GIL, at most every 20 ms.
class SignalPoll {
 public:
  void operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return;
    last_ = now;
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// What Python holds of a table and of a network. Samplers on any thread share what is in it, and need not know Python.
struct PyContextTable {
  std::shared_ptr<ContextTable> table;
};
struct PyPredictor {
  std::shared_ptr<const Predictor> predictor;
  int64_t width;  // of the windows that it is asked for
};
struct PyNetwork : PyPredictor {};
struct PyCounts : PyPredictor {};
struct PyMixture : PyPredictor {};
struct PyGpt : PyPredictor {};
struct PyConditioned : PyPredictor {};

template <class P>
P python_predictor(std::shared_ptr<const Predictor> predictor) {
  const int64_t width = predictor->block();
  return P{{std::move(predictor), width}};
}

void set_rows(PyContextTable& self, int64_t first, nb::handle values) {
  const auto cumulative = converted<double>("cumulative", values);
  if (cumulative.ndim() != 2 || static_cast<int64_t>(cumulative.shape(1)) != self.table->vocab()) {
    throw std::invalid_argument("cumulative must be (rows, vocab_size)");
  }
  const nb::gil_scoped_release no_gil;
  self.table->set_rows(first, static_cast<int64_t>(cumulative.shape(0)), cumulative.data());
}

Level make_level(int64_t factor, nb::handle weights, nb::handle biases, bool tanh) {
  const auto weight = converted<float>("weight", weights);
  const auto bias = converted<float>("bias", biases);
  if (weight.ndim() != 2 || factor < 1 || static_cast<int64_t>(weight.shape(1)) % factor != 0) {
    throw std::invalid_argument("weight must be (out, factor * in)");
  }
  const auto out = static_cast<int64_t>(weight.shape(0)), inputs = static_cast<int64_t>(weight.shape(1)) / factor;
  return {factor, inputs, out, to_vector(weight), to_vector(bias), tanh};
}

PyNetwork make_network(nb::handle embeddings, const std::vector<Level>& levels) {
  const auto embedding = converted<float>("embedding", embeddings);
  if (embedding.ndim() != 2) throw std::invalid_argument("embedding must be (vocab_size, embedding_dim)");
  const auto vocab = static_cast<int64_t>(embedding.shape(0)), dim = static_cast<int64_t>(embedding.shape(1));
  return python_predictor<PyNetwork>(std::make_shared<Network>(vocab, dim, to_vector(embedding), levels));
}

PyNetwork make_table(int64_t block, nb::handle values) {
  const auto logits = converted<float>("logits", values);
  const bool is_matrix = logits.ndim() == 2;
  const auto rows = is_matrix ? static_cast<int64_t>(logits.shape(0)) : 0;
  const auto vocab = is_matrix ? static_cast<int64_t>(logits.shape(1)) : 0;
  int64_t contexts = 1;
  if (vocab > 1) {
    for (int64_t i = 0; i < block && contexts <= rows; ++i) contexts *= vocab;
  }
  if (vocab < 2 || contexts != rows) throw std::invalid_argument("logits must be (vocab_size**block_size, vocab_size)");
  return python_predictor<PyNetwork>(std::make_shared<Network>(Network::of_table(vocab, block, logits.data())));
}

// A mixture looks at windows of `width` symbols: those of its components, or more where it knows the names of a list.
PyMixture make_mixture(const std::vector<const PyPredictor*>& predictors, nb::handle weight_values, int64_t width,
                       nb::handle key_values, nb::handle adjustment_values) {
  const auto weights = converted<double>("weights", weight_values);
  require(weights.size() == predictors.size(), "weights must be as many as components");
  std::vector<Mixture::Component> components;
  for (size_t i = 0; i < predictors.size(); ++i) components.push_back({predictors[i]->predictor, weights.data()[i]});
  KnownNames known{to_vector(converted<int64_t>("known_keys", key_values)),
                   to_vector(converted<float>("known_adjustments", adjustment_values))};
  return {{std::make_shared<Mixture>(std::move(components), width, std::move(known)), width}};
}

template <class Array>
GptParameter gpt_parameter(const Array& array) {
  require(array.ndim() == 1 || array.ndim() == 2, "parameters must be vectors and matrices");
  const auto size = [&](size_t dimension) { return static_cast<int64_t>(array.shape(dimension)); };
  return {array.data(), array.ndim() == 1 ? 1 : size(0), array.ndim() == 1 ? size(0) : size(1)};
}

// The GPT of namegen_ext.models, its parameters in the order of the training engine (engine/gpt/gpt_engine.h).
PyGpt make_gpt(const nb::dict& settings, const std::vector<nb::object>& arrays, bool float64) {
  const auto size = [&](const char* name) { return integer("network", settings, name); };
  const auto text = [&](const char* name) { return setting<std::string>("network", settings, name, "a string"); };
  const engine::GptNetwork network{size("vocab"),
                                   size("block"),
                                   size("embed"),
                                   size("layers"),
                                   size("heads"),
                                   size("hidden"),
                                   flag("network", settings, "tied"),
                                   number("network", settings, "eps"),
                                   flag("network", settings, "biases"),
                                   flag("network", settings, "final_norm"),
                                   flag("network", settings, "embedding_norm"),
                                   choice("norm", text("norm"), kGptNorms),
                                   choice("activation", text("activation"), kGptActivations)};
  check_gpt_network(network);
  const DType dtype = float64 ? DType::kFloat64 : DType::kFloat32;
  std::vector<Readable<float>> floats;
  std::vector<Readable<double>> doubles;
  std::vector<GptParameter> parameters;
  for (const nb::object& array : arrays) {
    if (float64) {
      doubles.push_back(converted<double>("parameters", array));
      parameters.push_back(gpt_parameter(doubles.back()));
    } else {
      floats.push_back(converted<float>("parameters", array));
      parameters.push_back(gpt_parameter(floats.back()));
    }
  }
  return python_predictor<PyGpt>(std::make_shared<GptPredictor>(network, dtype, parameters));
}

PyContextTable tabulate(const PyPredictor& self, double temperature, int64_t top_k) {
  const nb::gil_scoped_release no_gil;
  return {std::make_shared<ContextTable>(self.predictor, Shaping{temperature, top_k}, SignalPoll())};
}

nb::object logits(const PyPredictor& self, nb::handle values) {
  const std::shared_ptr<const Predictor>& predictor = self.predictor;
  const auto tokens = converted<int64_t>("tokens", values);
  if (tokens.ndim() != 2 || static_cast<int64_t>(tokens.shape(1)) != self.width) {
    throw std::invalid_argument("tokens must be (contexts, block_size)");
  }
  const auto count = static_cast<int64_t>(tokens.shape(0));
  const int64_t vocab = predictor->vocab();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens.data()[i] < 0 || tokens.data()[i] >= vocab) {
      throw std::invalid_argument("tokens must lie in [0, vocab_size)");
    }
  }
  const NewArray<float> result({count, vocab});
  const nb::gil_scoped_release no_gil;
  const std::unique_ptr<Predictions> predictions = predictor->start(predictor);
  ContextTree* own_contexts = predictions->own_contexts();
  std::vector<Key> contexts(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t* window = tokens.data() + i * self.width;
    contexts[i] = own_contexts != nullptr ? own_contexts->context_of_window(window, self.width)
                                          : predictor->context_of_window(window, self.width);
  }
  for (int64_t begin = 0; begin < count; begin += Predictions::kMostContexts) {
    const int64_t n = std::min(Predictions::kMostContexts, count - begin);
    const float* found = predictions->logits(&contexts[begin], n);
    for (int64_t i = 0; i < n; ++i) std::copy_n(found + i * padded(vocab), vocab, result.data + (begin + i) * vocab);
  }
  return result.object;
}

// (n): -log P of each symbol of names one after another, each with its 0.
nb::object symbol_nlls(const PyPredictor& self, nb::handle values, double temperature, int64_t top_k, bool drawn) {
  const auto symbols = converted<int32_t>("symbols", values);
  if (symbols.ndim() != 1) throw std::invalid_argument("symbols must be (n,)");
  const auto count = static_cast<int64_t>(symbols.size());
  const NewArray<double> result({count});
  const nb::gil_scoped_release no_gil;
  NameScorer(self.predictor, {temperature, top_k}, drawn).score(symbols.data(), count, result.data, SignalPoll());
  return result.object;
}

Spelling make_spelling(const std::vector<nb::bytes>& encodings, std::vector<int32_t> prefix, int64_t max_steps) {
  Spelling spelling{{}, std::move(prefix), max_steps};
  for (const nb::bytes& encoding : encodings) spelling.encodings.emplace_back(encoding.c_str(), encoding.size());
  return spelling;
}

// What Python holds of the pieces of a steered sampler.
struct PyAutomaton {
  std::shared_ptr<const Automaton> automaton;
};
struct PyContextSet {
  std::shared_ptr<const ContextSet> contexts;
};
struct PyMessages {
  std::shared_ptr<const Messages> messages;
};
struct PyBeginnings {
  std::shared_ptr<const Beginnings> beginnings;
};

PyAutomaton make_automaton(nb::handle next_values, nb::handle accepted_values) {
  const auto next = converted<int32_t>("next", next_values);
  const auto accepted = converted<int32_t>("accepted", accepted_values);
  require(next.ndim() == 2 && accepted.ndim() == 1, "next must be (states, vocab_size), and accepted (states)");
  const auto automaton = std::make_shared<Automaton>();
  automaton->vocab = static_cast<int64_t>(next.shape(1));
  automaton->next = to_vector(next);
  for (size_t state = 0; state < accepted.size(); ++state) automaton->accepted.push_back(accepted.data()[state] != 0);
  check_automaton(*automaton);
  return {automaton};
}

// None where the model has more than `most` contexts.
std::optional<PyContextSet> reach_contexts(const PyPredictor& self, double temperature, int64_t top_k,
                                           const std::vector<int32_t>& prefix, int64_t most) {
  const nb::gil_scoped_release no_gil;
  auto contexts = ContextSet::reach(self.predictor, Shaping{temperature, top_k}, prefix, most, SignalPoll());
  if (contexts == nullptr) return std::nullopt;
  return PyContextSet{std::move(contexts)};
}

PyMessages make_messages(const PyContextSet& contexts, const PyAutomaton& automaton) {
  const nb::gil_scoped_release no_gil;
  return {std::make_shared<Messages>(contexts.contexts, *automaton.automaton, SignalPoll())};
}

PyBeginnings follow_beginnings(const PyPredictor& self, double temperature, int64_t top_k, const PyAutomaton& automaton,
                               const std::vector<int32_t>& prefix, int64_t letters, int64_t most) {
  const nb::gil_scoped_release no_gil;
  return {std::make_shared<Beginnings>(self.predictor, Shaping{temperature, top_k}, *automaton.automaton, prefix,
                                       letters, most, SignalPoll())};
}

nb::tuple as_tuple(const TooFewAccepted& error) {
  return nb::make_tuple(error.most_tries(), error.accepted(), error.tries());
}

// A sampler for any number of threads. Its scratch memory serves one call at a time: one that comes while another draws
// takes a copy of its own, as the names do not depend on what draws them.
class PySampler {
 public:
  explicit PySampler(std::unique_ptr<Sampler> sampler) : sampler_(std::move(sampler)) {}

  std::unique_ptr<Sampler> copy() const { return sampler_->copy(); }

  // The names, and (most tries for one, accepted, tries) where one was found too seldom; else None.
  nb::tuple draw(uint64_t seed, uint64_t first, int64_t count) {
    if (count < 0) throw std::invalid_argument("count must be at least 0, but is " + std::to_string(count));
    std::string text;
    std::optional<TooFewAccepted> too_few;
    {
      const nb::gil_scoped_release no_gil;
      const bool is_busy = busy_.test_and_set(std::memory_order_acquire);
      const std::unique_ptr<Sampler> own = is_busy ? sampler_->copy() : nullptr;
      try {
        (is_busy ? *own : *sampler_).draw(seed, first, count, text, SignalPoll());
      } catch (const TooFewAccepted& error) {
        too_few = error;
      } catch (...) {
        if (!is_busy) busy_.clear(std::memory_order_release);
        throw;
      }
      if (!is_busy) busy_.clear(std::memory_order_release);
    }
    const nb::bytes names(text.data(), text.size());
    if (!too_few) return nb::make_tuple(names, nb::none());
    return nb::make_tuple(names, as_tuple(*too_few));
  }

 private:
  std::unique_ptr<Sampler> sampler_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

class PyNameStream {
 public:
  PyNameStream(const PySampler& sampler, int64_t names, uint64_t seed, const nb::bytes& training_names, bool novel,
               bool unique, bool count_distinct, int64_t patience, int64_t batch_size, int threads, int64_t max_length,
               bool leave_out_cut)
      : stream_(
            sampler.copy(), std::string(training_names.c_str(), training_names.size()),
            {names, seed, novel, unique, count_distinct, patience, batch_size, threads, max_length, leave_out_cut}) {}

  void fold(const std::vector<uint32_t>& characters, const std::vector<uint32_t>& folded,
            const std::vector<int32_t>& combining_classes) {
    if (folded.size() != characters.size() || combining_classes.size() != characters.size()) {
      throw std::invalid_argument("characters, folded and combining_classes must be as many");
    }
    std::vector<FoldedCharacter> entries;
    for (size_t i = 0; i < characters.size(); ++i) {
      entries.push_back({characters[i], folded[i], combining_classes[i]});
    }
    const Exclusive use(busy_, kWhat);
    stream_.fold(NameFolding(entries));
  }

  nb::bytes next() {
    std::string text;
    {
      const Exclusive use(busy_, kWhat);
      const nb::gil_scoped_release no_gil;
      text = stream_.next(SignalPoll());
    }
    return nb::bytes(text.data(), text.size());
  }
  bool ended() {
    const Exclusive use(busy_, kWhat);
    return stream_.ended();
  }
  bool gave_up() {
    const Exclusive use(busy_, kWhat);
    return stream_.gave_up();
  }
  // (most tries for one, accepted, tries) where the sampler found a name too seldom; else None.
  nb::object too_few() {
    const Exclusive use(busy_, kWhat);
    if (!stream_.too_few()) return nb::none();
    return as_tuple(*stream_.too_few());
  }
  // (names, new, drawn, drawn_new, drawn_distinct, cut), as in SampleCounts.
  nb::tuple counts() {
    const Exclusive use(busy_, kWhat);
    const Counts& c = stream_.counts();
    return nb::make_tuple(c.names, c.fresh, c.drawn, c.drawn_fresh, c.drawn_distinct, c.cut);
  }

 private:
  static constexpr const char* kWhat = "the stream of names";

  NameStream stream_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

void bind_steering(nb::module_& m) {
  using nb::arg;
  nb::class_<PyAutomaton>(m, "Automaton")
      .def(
          "__init__",
          [](PyAutomaton* self, nb::handle next, nb::handle accepted) {
            new (self) PyAutomaton(make_automaton(next, accepted));
          },
          arg("next"), arg("accepted"));
  nb::class_<PyContextSet>(m, "ContextSet").def_prop_ro("size", [](const PyContextSet& self) {
    return self.contexts->size();
  });
  nb::class_<PyMessages>(m, "Messages").def_prop_ro("accepted", [](const PyMessages& self) {
    return self.messages->accepted();
  });
  nb::class_<PyBeginnings>(m, "Beginnings").def_prop_ro("bound", [](const PyBeginnings& self) {
    return self.beginnings->bound();
  });
  m.def("reach_contexts", &reach_contexts, arg("network"), arg("temperature"), arg("top_k"), arg("prefix"),
        arg("most"));
  m.def("messages", &make_messages, arg("contexts"), arg("automaton"));
  m.def("follow_beginnings", &follow_beginnings, arg("network"), arg("temperature"), arg("top_k"), arg("automaton"),
        arg("prefix"), arg("letters"), arg("most"));
  m.def(
      "message_sampler",
      [](const PyMessages& messages, const std::vector<nb::bytes>& encodings, std::vector<int32_t> prefix,
         int64_t max_steps) {
        return new PySampler(std::make_unique<MessageSampler>(messages.messages,
                                                              make_spelling(encodings, std::move(prefix), max_steps)));
      },
      arg("messages"), arg("encodings"), arg("prefix"), arg("max_steps"), nb::rv_policy::take_ownership);
  m.def(
      "rejection_sampler",
      [](const PyPredictor& self, double temperature, int64_t top_k, const PyAutomaton& automaton,
         const PyBeginnings& beginnings, const std::vector<nb::bytes>& encodings, std::vector<int32_t> prefix,
         int64_t max_steps, int64_t letters, int64_t tries, bool writes_rejected) {
        return new PySampler(std::make_unique<RejectionSampler>(
            self.predictor, Shaping{temperature, top_k}, automaton.automaton, beginnings.beginnings,
            make_spelling(encodings, std::move(prefix), max_steps),
            RejectionSampler::Limits{letters, tries, writes_rejected}));
      },
      arg("network"), arg("temperature"), arg("top_k"), arg("automaton"), arg("beginnings"), arg("encodings"),
      arg("prefix"), arg("max_steps"), arg("letters"), arg("tries"), arg("writes_rejected") = false,
      nb::rv_policy::take_ownership);
}

}  // namespace

void bind_sampling(nb::module_& module) {
  using nb::arg;
  nb::module_ m = module.def_submodule("sampling", "Drawing names: csrc/core/engine/sampling.");
  m.def(
      "chosen_isa", [] { return std::string(sampling_kernels().isa); }, "The instruction set that names are drawn by.");
  nb::exception<NonFiniteLogits>(m, "NonFiniteLogitsError", PyExc_RuntimeError);

  nb::class_<PyContextTable>(m, "ContextTable")
      .def(
          "__init__",
          [](PyContextTable* self, int64_t vocab, int64_t block) {
            new (self) PyContextTable{std::make_shared<ContextTable>(vocab, block)};
          },
          arg("vocab_size"), arg("block_size"))
      .def_prop_ro("num_rows", [](const PyContextTable& self) { return self.table->num_rows(); })
      .def("set_rows", &set_rows, arg("first"), arg("cumulative"));
  nb::class_<Level>(m, "Level")
      .def(
          "__init__",
          [](Level* self, int64_t factor, nb::handle weight, nb::handle bias, bool tanh) {
            new (self) Level(make_level(factor, weight, bias, tanh));
          },
          arg("factor"), arg("weight"), arg("bias"), arg("tanh"));
  nb::class_<PyPredictor>(m, "Predictor")
      .def_prop_ro("vocab_size", [](const PyPredictor& self) { return self.predictor->vocab(); })
      .def_prop_ro("block_size", [](const PyPredictor& self) { return self.width; })
      .def("logits", &logits, arg("tokens"));
  nb::class_<PyNetwork, PyPredictor>(m, "Network")
      .def(
          "__init__",
          [](PyNetwork* self, nb::handle embedding, const std::vector<Level>& levels) {
            new (self) PyNetwork(make_network(embedding, levels));
          },
          arg("embedding"), arg("levels"))
      .def_static("of_table", &make_table, arg("block_size"), arg("logits"));
  nb::class_<PyCounts, PyPredictor>(m, "Counts")
      .def(
          "__init__",
          [](PyCounts* self, const PyCountModel& model) {
            new (self) PyCounts(python_predictor<PyCounts>(std::make_shared<CountsPredictor>(model.model)));
          },
          arg("model"));
  nb::class_<PyGpt, PyPredictor>(m, "Gpt").def(
      "__init__",
      [](PyGpt* self, const nb::dict& network, const std::vector<nb::object>& parameters, bool float64) {
        new (self) PyGpt(make_gpt(network, parameters, float64));
      },
      arg("network"), arg("parameters"), arg("float64"));
  nb::class_<PyMixture, PyPredictor>(m, "Mixture")
      .def(
          "__init__",
          [](PyMixture* self, const std::vector<const PyPredictor*>& components, nb::handle weights, int64_t block,
             nb::handle known_keys, nb::handle known_adjustments) {
            new (self) PyMixture(make_mixture(components, weights, block, known_keys, known_adjustments));
          },
          arg("components"), arg("weights"), arg("block_size"), arg("known_keys"), arg("known_adjustments"));

  nb::class_<PyConditioned, PyPredictor>(m, "Conditioned")
      .def(
          "__init__",
          [](PyConditioned* self, const PyPredictor& predictor, int64_t category, int64_t vocab, bool newest) {
            const auto place = newest ? Conditioned::Place::kNewest : Conditioned::Place::kOldest;
            new (self) PyConditioned(python_predictor<PyConditioned>(
                std::make_shared<Conditioned>(predictor.predictor, category, vocab, place)));
          },
          arg("predictor"), arg("category"), arg("vocab_size"), arg("newest"));

  m.def("symbol_nlls", &symbol_nlls, arg("network"), arg("symbols"), arg("temperature"), arg("top_k"), arg("drawn"));
  m.def("tabulate", &tabulate, arg("network"), arg("temperature"), arg("top_k"));

  nb::class_<PySampler>(m, "Sampler").def("draw", &PySampler::draw, arg("seed"), arg("first"), arg("count"));
  m.def(
      "table_sampler",
      [](const PyContextTable& table, const std::vector<nb::bytes>& encodings, std::vector<int32_t> prefix,
         int64_t max_steps) {
        return new PySampler(
            std::make_unique<TableSampler>(table.table, make_spelling(encodings, std::move(prefix), max_steps)));
      },
      arg("table"), arg("encodings"), arg("prefix"), arg("max_steps"), nb::rv_policy::take_ownership);
  m.def(
      "direct_sampler",
      [](const PyPredictor& self, double temperature, int64_t top_k, const std::vector<nb::bytes>& encodings,
         std::vector<int32_t> prefix, int64_t max_steps) {
        return new PySampler(std::make_unique<DirectSampler>(self.predictor, Shaping{temperature, top_k},
                                                             make_spelling(encodings, std::move(prefix), max_steps)));
      },
      arg("network"), arg("temperature"), arg("top_k"), arg("encodings"), arg("prefix"), arg("max_steps"),
      nb::rv_policy::take_ownership);

  bind_steering(m);

  nb::class_<PyNameStream>(m, "NameStream")
      .def(nb::init<const PySampler&, int64_t, uint64_t, const nb::bytes&, bool, bool, bool, int64_t, int64_t, int,
                    int64_t, bool>(),
           arg("sampler"), arg("names"), arg("seed"), arg("training_names"), arg("novel"), arg("unique"),
           arg("count_distinct"), arg("patience"), arg("batch_size"), arg("threads"), arg("max_length") = 0,
           arg("leave_out_cut") = false)
      .def("fold", &PyNameStream::fold, arg("characters"), arg("folded"), arg("combining_classes"))
      .def("next", &PyNameStream::next)
      .def_prop_ro("ended", &PyNameStream::ended)
      .def_prop_ro("gave_up", &PyNameStream::gave_up)
      .def_prop_ro("too_few", &PyNameStream::too_few)
      .def_prop_ro("counts", &PyNameStream::counts);
}

}  // namespace namegen::bindings
