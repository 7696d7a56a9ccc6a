// namegen_ext._C.counts: counting models, csrc/core/engine/counts.
#include "engine/counts/count_model.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <memory>
#include <stdexcept>

#include "bindings/bindings.h"

namespace py = pybind11;

namespace namegen::bindings {

namespace {

using namespace namegen::counts;

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

template <class T>
std::vector<T> to_vector(const Array<T>& array) {
  return {array.data(), array.data() + array.size()};
}

// A copy, (values) or (rows, values / rows).
template <class T>
Array<T> to_array(const std::vector<T>& values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// Windows (n, width) as contexts; the last symbol is the newest.
struct Windows {
  std::vector<int32_t> symbols;
  int64_t count, width;

  explicit Windows(const Array<int64_t>& tokens, int64_t order, int64_t vocab) {
    if (tokens.ndim() != 2 || tokens.shape(1) < order || tokens.shape(1) > std::numeric_limits<int32_t>::max()) {
      throw std::invalid_argument("tokens must be (n, width), with a width of at least order " + std::to_string(order));
    }
    count = tokens.shape(0);
    width = tokens.shape(1);
    symbols.resize(tokens.size());
    for (int64_t i = 0; i < static_cast<int64_t>(symbols.size()); ++i) {
      const int64_t symbol = tokens.data()[i];
      if (symbol < 0 || symbol >= vocab) throw py::index_error("tokens must lie in [0, vocab_size)");
      symbols[i] = static_cast<int32_t>(symbol);
    }
  }
  Context context(int64_t i) const { return {symbols.data() + (i + 1) * width, static_cast<int32_t>(width)}; }
};

std::vector<int32_t> targets_of(const Array<int64_t>& targets, int64_t count, int64_t vocab) {
  if (targets.ndim() != 1 || targets.shape(0) != count) throw std::invalid_argument("targets must be (n,)");
  std::vector<int32_t> result(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t symbol = targets.data()[i];
    if (symbol < 0 || symbol >= vocab) throw py::index_error("targets must lie in [0, vocab_size)");
    result[i] = static_cast<int32_t>(symbol);
  }
  return result;
}

Start start_of(const std::string& name) {
  if (name == "padded") return Start::kPadded;
  if (name == "once") return Start::kOnce;
  throw std::invalid_argument("start must be 'padded' or 'once', but is '" + name + "'");
}

using SharedTrie = std::shared_ptr<ContextTrie>;

SharedTrie count(const Array<int64_t>& tokens, const Array<int64_t>& targets,
                 const std::optional<Array<int64_t>>& counts, int64_t vocab, int64_t order, const std::string& start) {
  const Start kind = start_of(start);
  if (vocab < 1 || order < 0) throw std::invalid_argument("vocab_size must be at least 1 and order at least 0");
  const Windows windows(tokens, order, vocab);
  const std::vector<int32_t> followed = targets_of(targets, windows.count, vocab);
  if (counts && (counts->ndim() != 1 || counts->shape(0) != windows.count)) {
    throw std::invalid_argument("counts must be (n,)");
  }
  const py::gil_scoped_release no_gil;
  std::vector<Example> examples(windows.count);
  for (int64_t i = 0; i < windows.count; ++i) {
    examples[i] = {windows.context(i), followed[i], counts ? counts->data()[i] : 1};
  }
  return std::make_shared<ContextTrie>(build_trie(std::move(examples), vocab, order, kind));
}

SharedTrie from_arrays(int64_t vocab, int64_t order, const std::string& start, const Array<int32_t>& oldest_symbol,
                       const Array<int64_t>& first_child, const Array<int64_t>& first_pair,
                       const Array<int32_t>& pair_symbol, const Array<int64_t>& pair_count) {
  auto trie = std::make_shared<ContextTrie>(ContextTrie{vocab, order, start_of(start), to_vector(oldest_symbol),
                                                        to_vector(first_child), to_vector(first_pair),
                                                        to_vector(pair_symbol), to_vector(pair_count)});
  check_trie(*trie);
  return trie;
}

py::dict arrays(const SharedTrie& trie) {
  py::dict result;
  result["oldest_symbol"] = to_array(trie->oldest_symbol);
  result["first_child"] = to_array(trie->first_child);
  result["first_pair"] = to_array(trie->first_pair);
  result["pair_symbol"] = to_array(trie->pair_symbol);
  result["pair_count"] = to_array(trie->pair_count);
  return result;
}

// (n, order + 1, 5): count, total, and the three classes.
Array<double> evidence(const SharedTrie& trie, const Array<int64_t>& tokens, const Array<int64_t>& targets) {
  const Windows windows(tokens, trie->order, trie->vocab);
  const std::vector<int32_t> followed = targets_of(targets, windows.count, trie->vocab);
  Array<double> result({windows.count, trie->order + 1, int64_t{5}});
  static_assert(sizeof(Evidence) == 5 * sizeof(double));
  auto* output = reinterpret_cast<Evidence*>(result.mutable_data());
  const py::gil_scoped_release no_gil;
  const ContinuationCounts counts = continuation_counts(*trie);
  std::vector<int64_t> path(trie->order + 1);
  for (int64_t i = 0; i < windows.count; ++i) {
    find_evidence(*trie, counts, windows.context(i), followed[i], path.data(), output + i * (trie->order + 1));
  }
  return result;
}

using SharedModel = std::shared_ptr<CountModel>;

// (n, vocab): P(c | context).
Array<double> distributions(const SharedModel& model, const Array<int64_t>& tokens) {
  const Windows windows(tokens, model->order(), model->vocab());
  Array<double> result({windows.count, model->vocab()});
  double* output = result.mutable_data();
  const py::gil_scoped_release no_gil;
  std::vector<int64_t> path(model->order() + 1);
  for (int64_t i = 0; i < windows.count; ++i) {
    model->distribution(windows.context(i), path.data(), output + i * model->vocab());
  }
  return result;
}

// (n): P(target | context).
Array<double> probabilities(const SharedModel& model, const Array<int64_t>& tokens, const Array<int64_t>& targets) {
  const Windows windows(tokens, model->order(), model->vocab());
  const std::vector<int32_t> followed = targets_of(targets, windows.count, model->vocab());
  Array<double> result(windows.count);
  double* output = result.mutable_data();
  const py::gil_scoped_release no_gil;
  std::vector<int64_t> path(model->order() + 1);
  for (int64_t i = 0; i < windows.count; ++i) {
    output[i] = model->probability(windows.context(i), followed[i], path.data());
  }
  return result;
}

template <class Smooth>
SharedModel smoothed(const SharedTrie& trie, const Smooth& smooth) {
  const py::gil_scoped_release no_gil;
  return std::make_shared<CountModel>(*trie, smooth(*trie));
}

}  // namespace

void define_counts(py::module_& module) {
  using py::arg;
  py::module_ m = module.def_submodule("counts", "Counting models: csrc/core/engine/counts.");
  py::class_<ContextTrie, SharedTrie>(m, "ContextTrie")
      .def(py::init(&from_arrays), arg("vocab_size"), arg("order"), arg("start"), arg("oldest_symbol"),
           arg("first_child"), arg("first_pair"), arg("pair_symbol"), arg("pair_count"))
      .def("arrays", &arrays)
      .def("evidence", &evidence, arg("tokens"), arg("targets"));
  m.def("count", &count, arg("tokens"), arg("targets"), arg("counts").none(true), arg("vocab_size"), arg("order"),
        arg("start"));
  py::class_<CountModel, SharedModel>(m, "CountModel")
      .def("distributions", &distributions, arg("tokens"))
      .def("probabilities", &probabilities, arg("tokens"), arg("targets"));
  m.def(
      "add_k",
      [](const SharedTrie& trie, double k) {
        return smoothed(trie, [k](const ContextTrie& t) { return add_k(t, k); });
      },
      arg("trie").none(false), arg("k"));
  m.def("witten_bell", [](const SharedTrie& trie) { return smoothed(trie, &witten_bell); }, arg("trie").none(false));
  m.def(
      "kneser_ney",
      [](const SharedTrie& trie, const Array<double>& discounts, const Array<double>& concentrations) {
        const KneserNeyParameters parameters{to_vector(discounts), to_vector(concentrations)};
        return smoothed(trie, [&](const ContextTrie& t) { return kneser_ney(t, parameters); });
      },
      arg("trie").none(false), arg("discounts"), arg("concentrations"));
}

}  // namespace namegen::bindings
