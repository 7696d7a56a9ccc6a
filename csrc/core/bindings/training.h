// What the bindings of both training engines share: checks, settings, and parameters in and out.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/exclusive.h"
#include "engine/training/step_engine.h"
#include "kernels/types.h"

namespace namegen::bindings {

// Sizes and numbers of parameters up to which no product overflows; memory ends long before.
inline constexpr int64_t kMostSize = INT32_MAX;
inline constexpr double kMostParameters = double(int64_t{1} << 40);

inline void require(bool condition, const std::string& message) {
  if (!condition) throw nb::value_error(message.c_str());
}

inline void require_size(const char* name, int64_t size) {
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

inline int64_t integer(const char* argument, const nb::dict& settings, const char* name) {
  return setting<int64_t>(argument, settings, name, "an integer");
}
inline bool flag(const char* argument, const nb::dict& settings, const char* name) {
  return setting<bool>(argument, settings, name, "True or False");
}
inline double number(const char* argument, const nb::dict& settings, const char* name) {
  return setting<double>(argument, settings, name, "a number");
}

inline engine::Optimizer optimizer_of(const nb::dict& optimizer) {
  const auto value = [&](const char* name) { return number("optimizer", optimizer, name); };
  return {flag("optimizer", optimizer, "adamw") ? engine::OptimizerKind::kAdamW : engine::OptimizerKind::kSgd,
          value("weight_decay"),
          value("momentum"),
          flag("optimizer", optimizer, "nesterov"),
          value("beta1"),
          value("beta2"),
          value("eps"),
          value("most_norm"),
          flag("optimizer", optimizer, "averages")};
}

template <class Array>
int64_t size_of(const Array& array) {
  return static_cast<int64_t>(array.size());
}

template <class Value>
[[noreturn]] void refuse_value(const char* name, Value value, int64_t least, int64_t limit) {
  throw std::out_of_range(std::string(name) + ": got " + std::to_string(value) + ", expected " + std::to_string(least) +
                          " to " + std::to_string(limit - 1));
}

// What a call of `run` reads and writes, checked but for the range of the indices.
struct StepArrays {
  Readable<int64_t> indices;        // (steps, batch)
  Readable<double> learning_rates;  // (steps)
  Writable<double> losses;          // (steps)
  int64_t count, batch;
  std::optional<Readable<double>> average_shares;  // (steps), where an average is kept
  engine::Steps steps() const {
    return {indices.data(), learning_rates.data(),
            losses.data(),  count,
            batch,          average_shares ? average_shares->data() : nullptr};
  }
};

inline StepArrays step_arrays(nb::handle indices_array, nb::handle rates_array, nb::handle losses_array,
                              nb::handle shares_array, bool averages, int64_t block) {
  StepArrays a{readable<int64_t>("indices", indices_array),
               readable<double>("learning_rates", rates_array),
               writable<double>("losses", losses_array),
               0,
               0,
               {}};
  require(a.indices.ndim() == 2, "indices must be (steps, batch)");
  a.count = static_cast<int64_t>(a.indices.shape(0));
  a.batch = static_cast<int64_t>(a.indices.shape(1));
  require(a.batch >= 1, "indices: got a batch of 0, expected at least 1 example");
  // A minibatch's tokens are numbered in 32 bits.
  require(a.batch <= INT32_MAX / block, "indices: got a batch of " + std::to_string(a.batch) + ", expected at most " +
                                            std::to_string(INT32_MAX / block) + " examples of this model");
  require(size_of(a.learning_rates) == a.count, "learning_rates: got " + std::to_string(a.learning_rates.size()) +
                                                    " for " + std::to_string(a.count) + " steps, expected as many");
  require(size_of(a.losses) == a.count, "losses: got room for " + std::to_string(a.losses.size()) + ", expected " +
                                            std::to_string(a.count) + ", one a step");
  require_apart("losses", a.losses, "indices", a.indices);
  require_apart("losses", a.losses, "learning_rates", a.learning_rates);
  if (averages) {
    a.average_shares = readable<double>("average_shares", shares_array);
    require(size_of(*a.average_shares) == a.count, "average_shares: got " + std::to_string(a.average_shares->size()) +
                                                       " for " + std::to_string(a.count) + " steps, expected as many");
    require_apart("losses", a.losses, "average_shares", *a.average_shares);
  }
  return a;
}

// An engine of either kind, and its parameters as arrays. A class derived from it makes the engine.
template <class Engine>
class PyEngine {
 public:
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
  void set_updates(int64_t updates) {
    const Exclusive use(busy_, kWhat);
    require(updates >= 0 && updates <= INT64_MAX / 2,
            "updates: got " + std::to_string(updates) + ", expected 0 to 2^62");
    engine_->set_updates(updates);
  }

  int64_t steps_done() const { return steps_done_.load(std::memory_order_relaxed); }

 protected:
  // Memory of values of the engine's type, to read and to write.
  using Values = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  using Room = nb::ndarray<nb::c_contig, nb::device::cpu>;

  explicit PyEngine(bool float64) : float64_(float64) {}

  DType dtype() const { return float64_ ? DType::kFloat64 : DType::kFloat32; }
  void set_engine(std::unique_ptr<Engine> engine, const engine::Optimizer& optimizer) {
    engine_ = std::move(engine);
    slots_ = optimizer.kind == engine::OptimizerKind::kAdamW ? 3 : optimizer.momentum != 0 ? 2 : 1;
    averages_ = optimizer.averages;
  }

  int64_t size_of_parameter(int64_t parameter) const {
    require(parameter >= 0 && parameter < engine_->parameter_count(), "there is no such parameter");
    const engine::ParameterShape shape = engine_->parameter_shape(parameter);
    return shape.rows * shape.columns;
  }
  engine::Slot checked_slot(int64_t slot) const {
    const bool is_average = slot == static_cast<int64_t>(engine::Slot::kAverage);
    require(is_average ? averages_ : slot >= 0 && slot < slots_, "slot: got " + std::to_string(slot) +
                                                                     ", expected 0 to " + std::to_string(slots_ - 1) +
                                                                     (averages_ ? ", or 3 for the average" : ""));
    return static_cast<engine::Slot>(slot);
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

  static constexpr const char* kWhat = "the engine";

  const bool float64_;
  int64_t slots_ = 1;  // arrays that it keeps for a parameter, less the average
  bool averages_ = false;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  int64_t num_examples_ = 0;             // that the engine has
  std::atomic<int64_t> steps_done_ = 0;  // in the last call of run; another thread may ask for it meanwhile
  std::unique_ptr<Engine> engine_;
};

}  // namespace namegen::bindings
