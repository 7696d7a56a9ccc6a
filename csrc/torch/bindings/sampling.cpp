#include "bindings/sampling.h"

#include "bindings/bindings.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "engine/sampling/direct_sampler.h"
#include "engine/sampling/name_stream.h"
#include "engine/sampling/table_sampler.h"

namespace py = pybind11;

namespace namegen::bindings {

namespace {

using namespace namegen::sampling;

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

// Sees whether Ctrl-C was pressed, which takes the GIL, at most every 20 ms.
class SignalPoll {
 public:
  void operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return;
    last_ = now;
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

template <class T>
std::vector<T> to_vector(const Array<T>& array) {
  return {array.data(), array.data() + array.size()};
}

void set_rows(ContextTable& table, int64_t first, const Array<double>& cumulative) {
  if (cumulative.ndim() != 2 || cumulative.shape(1) != table.vocab()) {
    throw std::invalid_argument("cumulative must be (rows, vocab_size)");
  }
  const py::gil_scoped_release no_gil;
  table.set_rows(first, cumulative.shape(0), cumulative.data());
}

Level make_level(int64_t factor, const Array<float>& weight, const Array<float>& bias, bool tanh) {
  if (weight.ndim() != 2 || factor < 1 || weight.shape(1) % factor != 0) {
    throw std::invalid_argument("weight must be (out, factor * in)");
  }
  return {factor, weight.shape(1) / factor, weight.shape(0), to_vector(weight), to_vector(bias), tanh};
}

std::shared_ptr<Network> make_network(const Array<float>& embedding, const std::vector<Level>& levels) {
  if (embedding.ndim() != 2) throw std::invalid_argument("embedding must be (vocab_size, embedding_dim)");
  return std::make_shared<Network>(embedding.shape(0), embedding.shape(1), to_vector(embedding), levels);
}

Array<float> logits(const std::shared_ptr<Network>& network, const Array<int64_t>& tokens) {
  if (tokens.ndim() != 2 || tokens.shape(1) != network->block()) {
    throw std::invalid_argument("tokens must be (contexts, block_size)");
  }
  const int64_t count = tokens.shape(0), vocab = network->vocab();
  std::vector<Key> contexts(count, 0);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t t = 0; t < network->block(); ++t) {
      const int64_t symbol = tokens.at(i, t);
      if (symbol < 0 || symbol >= vocab) throw std::invalid_argument("tokens must lie in [0, vocab_size)");
      contexts[i] = network->append(contexts[i], static_cast<uint32_t>(symbol));
    }
  }
  Array<float> result({count, vocab});
  float* output = result.mutable_data();
  const py::gil_scoped_release no_gil;
  Evaluation evaluation(network);
  for (int64_t begin = 0; begin < count; begin += Evaluation::kMostContexts) {
    const int64_t n = std::min(Evaluation::kMostContexts, count - begin);
    const float* found = evaluation.logits(&contexts[begin], n);
    for (int64_t i = 0; i < n; ++i) std::copy_n(found + i * padded(vocab), vocab, output + (begin + i) * vocab);
  }
  return result;
}

// A sampler for any number of threads. Its scratch memory serves one call at a time: one that comes while another draws
// takes a copy of its own, as the names do not depend on what draws them.
class PySampler {
 public:
  explicit PySampler(std::unique_ptr<Sampler> sampler) : sampler_(std::move(sampler)) {}

  std::unique_ptr<Sampler> copy() const { return sampler_->copy(); }

  py::bytes draw(uint64_t seed, uint64_t first, int64_t count) {
    if (count < 0) throw std::invalid_argument("count must be at least 0, but is " + std::to_string(count));
    std::string text;
    {
      const py::gil_scoped_release no_gil;
      const bool is_busy = busy_.test_and_set(std::memory_order_acquire);
      const std::unique_ptr<Sampler> own = is_busy ? sampler_->copy() : nullptr;
      try {
        (is_busy ? *own : *sampler_).draw(seed, first, count, text, SignalPoll());
      } catch (...) {
        if (!is_busy) busy_.clear(std::memory_order_release);
        throw;
      }
      if (!is_busy) busy_.clear(std::memory_order_release);
    }
    return text;
  }

 private:
  std::unique_ptr<Sampler> sampler_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

class PyNameStream {
 public:
  PyNameStream(const PySampler& sampler, int64_t names, uint64_t seed, const std::string& training_names, bool novel,
               bool unique, bool count_distinct, int64_t patience, int64_t batch_size, int threads)
      : stream_(sampler.copy(), training_names,
                {names, seed, novel, unique, count_distinct, patience, batch_size, threads}) {}

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

  py::bytes next() {
    std::string text;
    {
      const Exclusive use(busy_, kWhat);
      const py::gil_scoped_release no_gil;
      text = stream_.next(SignalPoll());
    }
    return text;
  }
  bool ended() {
    const Exclusive use(busy_, kWhat);
    return stream_.ended();
  }
  bool gave_up() {
    const Exclusive use(busy_, kWhat);
    return stream_.gave_up();
  }
  // (names, new, drawn, drawn_new, drawn_distinct), as in SampleCounts.
  py::tuple counts() {
    const Exclusive use(busy_, kWhat);
    const Counts& c = stream_.counts();
    return py::make_tuple(c.names, c.fresh, c.drawn, c.drawn_fresh, c.drawn_distinct);
  }

 private:
  static constexpr const char* kWhat = "the stream of names";

  NameStream stream_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace

void define_sampling(py::module_& module) {
  using py::arg;
  py::module_ m = module.def_submodule("sampling", "Drawing names: csrc/core/engine/sampling.");
  m.def(
      "chosen_isa", [] { return std::string(sampling_kernels().isa); }, "The instruction set that names are drawn by.");
  py::register_exception<NonFiniteLogits>(m, "NonFiniteLogitsError", PyExc_RuntimeError);

  py::class_<ContextTable, std::shared_ptr<ContextTable>>(m, "ContextTable")
      .def(py::init<int64_t, int64_t>(), arg("vocab_size"), arg("block_size"))
      .def_property_readonly("num_rows", &ContextTable::num_rows)
      .def("set_rows", &set_rows, arg("first"), arg("cumulative"));
  py::class_<Level>(m, "Level").def(py::init(&make_level), arg("factor"), arg("weight"), arg("bias"), arg("tanh"));
  py::class_<Network, std::shared_ptr<Network>>(m, "Network")
      .def(py::init(&make_network), arg("embedding"), arg("levels"))
      .def_property_readonly("vocab_size", &Network::vocab)
      .def_property_readonly("block_size", &Network::block)
      .def("logits", &logits, arg("tokens"));

  py::class_<PySampler>(m, "Sampler").def("draw", &PySampler::draw, arg("seed"), arg("first"), arg("count"));
  m.def(
      "table_sampler",
      [](const std::shared_ptr<ContextTable>& table, std::vector<std::string> encodings, std::vector<int32_t> prefix,
         int64_t max_steps) {
        return std::make_unique<PySampler>(
            std::make_unique<TableSampler>(table, Spelling{std::move(encodings), std::move(prefix), max_steps}));
      },
      arg("table").none(false), arg("encodings"), arg("prefix"), arg("max_steps"));
  m.def(
      "direct_sampler",
      [](const std::shared_ptr<Network>& network, double temperature, int64_t top_k, std::vector<std::string> encodings,
         std::vector<int32_t> prefix, int64_t max_steps) {
        return std::make_unique<PySampler>(std::make_unique<DirectSampler>(
            network, Shaping{temperature, top_k}, Spelling{std::move(encodings), std::move(prefix), max_steps}));
      },
      arg("network").none(false), arg("temperature"), arg("top_k"), arg("encodings"), arg("prefix"), arg("max_steps"));

  py::class_<PyNameStream>(m, "NameStream")
      .def(py::init<const PySampler&, int64_t, uint64_t, const std::string&, bool, bool, bool, int64_t, int64_t, int>(),
           arg("sampler"), arg("names"), arg("seed"), arg("training_names"), arg("novel"), arg("unique"),
           arg("count_distinct"), arg("patience"), arg("batch_size"), arg("threads"))
      .def("fold", &PyNameStream::fold, arg("characters"), arg("folded"), arg("combining_classes"))
      .def("next", &PyNameStream::next)
      .def_property_readonly("ended", &PyNameStream::ended)
      .def_property_readonly("gave_up", &PyNameStream::gave_up)
      .def_property_readonly("counts", &PyNameStream::counts);
}

}  // namespace namegen::bindings
