// namegen_ext._core.counts: counting models, csrc/core/engine/counts.
#include "engine/counts/count_model.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <limits>
#include <memory>
#include <stdexcept>

#include "bindings/arrays.h"
#include "bindings/counts.h"
#include "bindings/parts.h"

namespace namegen::bindings {

namespace {

using namespace namegen::counts;

int32_t checked_symbol(const char* name, int64_t symbol, int64_t vocab) {
  if (symbol >= 0 && symbol < vocab) return static_cast<int32_t>(symbol);
  throw nb::index_error((std::string(name) + " must lie in [0, vocab_size)").c_str());
}

// Windows (n, width), each the symbols before one that follows; the last is the newest.
class Windows {
 public:
  Windows(nb::handle values, int64_t order, int64_t vocab) {
    const auto tokens = converted<int64_t>("tokens", values);
    if (tokens.ndim() != 2 || static_cast<int64_t>(tokens.shape(1)) < order ||
        tokens.shape(1) > size_t{std::numeric_limits<int32_t>::max()}) {
      throw std::invalid_argument("tokens must be (n, width), with a width of at least order " + std::to_string(order));
    }
    count_ = static_cast<int64_t>(tokens.shape(0));
    width_ = static_cast<int64_t>(tokens.shape(1));
    symbols_.resize(tokens.size());
    for (size_t i = 0; i < symbols_.size(); ++i) symbols_[i] = checked_symbol("tokens", tokens.data()[i], vocab);
  }

  int64_t count() const { return count_; }
  Context context(int64_t i) const { return {symbols_.data() + (i + 1) * width_, static_cast<int32_t>(width_)}; }

 private:
  std::vector<int32_t> symbols_;
  int64_t count_, width_;
};

std::vector<int32_t> targets_of(nb::handle values, int64_t count, int64_t vocab) {
  const auto targets = converted<int64_t>("targets", values);
  if (targets.ndim() != 1 || static_cast<int64_t>(targets.size()) != count) {
    throw std::invalid_argument("targets must be (n,), as many as tokens");
  }
  std::vector<int32_t> result(count);
  for (int64_t i = 0; i < count; ++i) result[i] = checked_symbol("targets", targets.data()[i], vocab);
  return result;
}

Start start_of(const std::string& name) {
  if (name == "padded") return Start::kPadded;
  if (name == "once") return Start::kOnce;
  throw std::invalid_argument("start must be 'padded' or 'once', but is '" + name + "'");
}

// What Python holds of a trie: models made of it have copies of their own.
struct PyTrie {
  ContextTrie trie;
};

PyTrie count(nb::handle tokens, nb::handle targets, nb::handle counts, int64_t vocab, int64_t order,
             const std::string& start) {
  if (vocab < 1 || order < 0) throw std::invalid_argument("vocab_size must be at least 1 and order at least 0");
  const Start kind = start_of(start);
  const Windows windows(tokens, order, vocab);
  const std::vector<int32_t> followed = targets_of(targets, windows.count(), vocab);
  std::vector<double> often(windows.count(), 1.0);
  if (!counts.is_none()) often = to_vector(converted<double>("counts", counts));
  if (static_cast<int64_t>(often.size()) != windows.count()) {
    throw std::invalid_argument("counts must be (n,), as many as tokens");
  }
  const nb::gil_scoped_release no_gil;
  std::vector<Example> examples(windows.count());
  for (int64_t i = 0; i < windows.count(); ++i) examples[i] = {windows.context(i), followed[i], often[i]};
  return {build_trie(std::move(examples), vocab, order, kind)};
}

PyTrie trie_of(int64_t vocab, int64_t order, const std::string& start, nb::handle oldest_symbol, nb::handle first_child,
               nb::handle first_pair, nb::handle pair_symbol, nb::handle pair_count) {
  PyTrie made{{vocab, order, start_of(start), to_vector(converted<int32_t>("oldest_symbol", oldest_symbol)),
               to_vector(converted<int64_t>("first_child", first_child)),
               to_vector(converted<int64_t>("first_pair", first_pair)),
               to_vector(converted<int32_t>("pair_symbol", pair_symbol)),
               to_vector(converted<double>("pair_count", pair_count))}};
  check_trie(made.trie);
  return made;
}

nb::dict arrays(const PyTrie& self) {
  nb::dict result;
  result["oldest_symbol"] = numpy_copy(self.trie.oldest_symbol);
  result["first_child"] = numpy_copy(self.trie.first_child);
  result["first_pair"] = numpy_copy(self.trie.first_pair);
  result["pair_symbol"] = numpy_copy(self.trie.pair_symbol);
  result["pair_count"] = numpy_copy(self.trie.pair_count);
  return result;
}

// (n, order + 1, 5): for each length of context count, total and the three classes.
nb::object evidence(const PyTrie& self, nb::handle tokens, nb::handle targets) {
  const ContextTrie& trie = self.trie;
  const Windows windows(tokens, trie.order, trie.vocab);
  const std::vector<int32_t> followed = targets_of(targets, windows.count(), trie.vocab);
  static_assert(sizeof(Evidence) == 5 * sizeof(double));
  const NewArray<double> result({windows.count(), trie.order + 1, 5});
  auto* output = reinterpret_cast<Evidence*>(result.data);
  const nb::gil_scoped_release no_gil;
  const ContinuationCounts counts = continuation_counts(trie);
  std::vector<int64_t> path(trie.order + 1);
  for (int64_t i = 0; i < windows.count(); ++i) {
    find_evidence(trie, counts, windows.context(i), followed[i], path.data(), output + i * (trie.order + 1));
  }
  return result.object;
}

// (n, vocab): P(c | context).
nb::object distributions(const PyCountModel& self, nb::handle tokens) {
  const CountModel& model = *self.model;
  const Windows windows(tokens, model.order(), model.vocab());
  const NewArray<double> result({windows.count(), model.vocab()});
  const nb::gil_scoped_release no_gil;
  std::vector<int64_t> path(model.order() + 1);
  for (int64_t i = 0; i < windows.count(); ++i) {
    model.distribution(windows.context(i), path.data(), result.data + i * model.vocab());
  }
  return result.object;
}

// (n): P(target | context).
nb::object probabilities(const PyCountModel& self, nb::handle tokens, nb::handle targets) {
  const CountModel& model = *self.model;
  const Windows windows(tokens, model.order(), model.vocab());
  const std::vector<int32_t> followed = targets_of(targets, windows.count(), model.vocab());
  const NewArray<double> result({windows.count()});
  const nb::gil_scoped_release no_gil;
  std::vector<int64_t> path(model.order() + 1);
  for (int64_t i = 0; i < windows.count(); ++i) {
    result.data[i] = model.probability(windows.context(i), followed[i], path.data());
  }
  return result.object;
}

PyCountModel model_of(const PyTrie& self, const Smoothed& smoothed) {
  return {std::make_shared<const CountModel>(self.trie, smoothed)};
}

}  // namespace

void bind_counts(nb::module_& module) {
  using nb::arg;
  nb::module_ m = module.def_submodule("counts", "Counting models: csrc/core/engine/counts.");
  nb::class_<PyTrie>(m, "ContextTrie")
      .def(
          "__init__",
          [](PyTrie* self, int64_t vocab, int64_t order, const std::string& start, nb::handle oldest_symbol,
             nb::handle first_child, nb::handle first_pair, nb::handle pair_symbol, nb::handle pair_count) {
            new (self)
                PyTrie(trie_of(vocab, order, start, oldest_symbol, first_child, first_pair, pair_symbol, pair_count));
          },
          arg("vocab_size"), arg("order"), arg("start"), arg("oldest_symbol"), arg("first_child"), arg("first_pair"),
          arg("pair_symbol"), arg("pair_count"))
      .def("arrays", &arrays)
      .def("evidence", &evidence, arg("tokens"), arg("targets"));
  m.def("count", &count, arg("tokens"), arg("targets"), arg("counts").none(), arg("vocab_size"), arg("order"),
        arg("start"));
  nb::class_<PyCountModel>(m, "CountModel")
      .def_prop_ro("vocab_size", [](const PyCountModel& self) { return self.model->vocab(); })
      .def_prop_ro("order", [](const PyCountModel& self) { return self.model->order(); })
      .def("distributions", &distributions, arg("tokens"))
      .def("probabilities", &probabilities, arg("tokens"), arg("targets"));
  m.def(
      "add_k", [](const PyTrie& trie, double k) { return model_of(trie, add_k(trie.trie, k)); }, arg("trie"), arg("k"));
  m.def("witten_bell", [](const PyTrie& trie) { return model_of(trie, witten_bell(trie.trie)); }, arg("trie"));
  m.def(
      "kneser_ney",
      [](const PyTrie& trie, nb::handle discounts, nb::handle concentrations) {
        return model_of(trie, kneser_ney(trie.trie, {to_vector(converted<double>("discounts", discounts)),
                                                     to_vector(converted<double>("concentrations", concentrations))}));
      },
      arg("trie"), arg("discounts"), arg("concentrations"));
}

}  // namespace namegen::bindings
