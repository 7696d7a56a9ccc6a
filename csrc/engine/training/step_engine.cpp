// The step engine of one instruction set: parameters in and out, and steps as a sequence of passes (passes.h).
#include "engine/training/step_engine.h"

#include <stdexcept>

#include "engine/training/passes.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using engine::Steps;

template <class T>
class StepEngineOf final : public engine::StepEngine {
 public:
  StepEngineOf(const Network& network, const Optimizer& optimizer) : state_(network, optimizer) {}

  int64_t parameter_count() const override { return state_.layout.place_count; }
  ParameterShape parameter_shape(int64_t parameter) const override {
    return {place(parameter).rows, place(parameter).columns};
  }
  void take(int64_t parameter, Slot slot, const void* data) override {
    take_parameter(place(parameter), static_cast<const T*>(data), arena(slot));
    if (slot == Slot::kValue) transposed_is_current_ = false;
  }
  void give(int64_t parameter, Slot slot, void* data) const override {
    give_parameter(place(parameter), arena(slot), static_cast<T*>(data));
  }
  void take_statistics(int64_t level, const void* mean, const void* var) override {
    const LevelState<T>& state = state_.levels[level];
    __builtin_memcpy(state.running_mean.data(), mean, bytes_of(level));
    __builtin_memcpy(state.running_var.data(), var, bytes_of(level));
  }
  void give_statistics(int64_t level, void* mean, void* var) const override {
    const LevelState<T>& state = state_.levels[level];
    __builtin_memcpy(mean, state.running_mean.data(), bytes_of(level));
    __builtin_memcpy(var, state.running_var.data(), bytes_of(level));
  }
  void set_updates(int64_t updates) override { state_.updates = updates; }

  bool all_below(const int32_t* values, int64_t n, int64_t limit) const override {
    return all_below_of<uint32_t>(values, n, limit);
  }
  bool all_below(const int64_t* values, int64_t n, int64_t limit) const override {
    return all_below_of<uint64_t>(values, n, limit);
  }

  void run(const Steps& steps, Context& context) override {
    state_.reserve(steps.batch);
    if (!transposed_is_current_) transpose_weights(state_, context);
    transposed_is_current_ = true;
    state_.update_at_once = state_.optimizer.kind == OptimizerKind::kSgd && ExampleChunks{steps.batch}.count() == 1;
    for (int64_t k = 0; k < steps.count; ++k) {
      state_.context.begin_step(context);
      state_.learning_rate = steps.learning_rates[k];
      gather(steps, steps.indices + k * steps.batch);
      steps.losses[k] = loss_and_gradients(steps.batch) / double(steps.batch);
      update(state_, steps.batch);
      ++state_.updates;
    }
  }

  void logits(const int32_t* tokens, int64_t n, void* result, Context& context) override {
    constexpr int64_t kMost = 1024;
    const Network& network = state_.network;
    const int64_t stride = padded<T>(network.vocab);
    for (int64_t first = 0; first < n; first += kMost) {
      const int64_t count = smaller(kMost, n - first);
      state_.reserve(count);
      state_.context.begin_step(context);
      __builtin_memcpy(state_.tokens.data(), tokens + first * network.block, count * network.block * sizeof(int32_t));
      forward(state_, count, false);
      const int64_t rows = state_.contexts.count;
      state_.for_chunks(rows, 2.0 * rows * state_.layout.output.inputs * stride,
                        [&](const RowRange& range) { logits_rows(state_, range); });
      for (int64_t i = 0; i < count; ++i) {
        T* row = static_cast<T*>(result) + (first + i) * network.vocab;
        __builtin_memcpy(row, state_.logits.data() + state_.contexts.row_of[i] * stride, network.vocab * sizeof(T));
      }
    }
  }

 private:
  const Place& place(int64_t parameter) const { return state_.layout.places[parameter]; }
  T* arena(Slot slot) const { return state_.arena[static_cast<int>(slot)].data(); }
  size_t bytes_of(int64_t level) const { return state_.network.levels[level].size * sizeof(T); }

  // As unsigned numbers, of which the negative ones are the largest.
  template <class Unsigned, class Value>
  static bool all_below_of(const Value* values, int64_t n, int64_t limit) {
    Unsigned beyond = 0;
    for (int64_t i = 0; i < n; ++i) beyond |= Unsigned(Unsigned(values[i]) >= Unsigned(limit));
    return beyond == 0;
  }

  double loss_and_gradients(int64_t batch) {
    if (pairs_can_be_counted(state_.num_levels(), state_.network.vocab, batch)) {
      return cross_entropy_of_pairs(state_, batch);
    }
    forward(state_, batch, true);
    const double loss = output(state_, batch);
    backward(state_, batch);
    return loss;
  }

  void gather(const Steps& steps, const int64_t* indices) {
    const int64_t block = state_.network.block;
    for (int64_t i = 0; i < steps.batch; ++i) {
      const int32_t* source = steps.tokens + indices[i] * block;
      for (int64_t t = 0; t < block; ++t) state_.tokens.data()[i * block + t] = source[t];
      state_.targets.data()[i] = steps.targets[indices[i]];
    }
  }

  StepState<T> state_;
  bool transposed_is_current_ = false;
};

}  // namespace

engine::StepEngine* make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype) {
  if (dtype == DType::kFloat32) return new StepEngineOf<float>(network, optimizer);
  if (dtype == DType::kFloat64) return new StepEngineOf<double>(network, optimizer);
  throw std::runtime_error("the step engine takes float32 and float64");
}

}  // namespace namegen::cpu::NAMEGEN_ISA
