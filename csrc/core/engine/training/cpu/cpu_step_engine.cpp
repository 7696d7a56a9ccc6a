// The step engine of one instruction set: it copies parameters in and out, and runs each step as a sequence of passes
// (passes.h).
#include "engine/training/step_engine.h"

#include <memory>
#include <stdexcept>

#include "engine/training/cpu/passes.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using engine::Steps;

template <class T>
class CpuStepEngine final : public engine::StepEngine {
 public:
  CpuStepEngine(const Network& network, const Optimizer& optimizer) : state_(network, optimizer) {}

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
    for (const Array<T>* array : {&state.running_mean, &state.running_var}) fill_zero(array->data(), array->size());
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

  void set_examples(const int32_t* tokens, const int32_t* targets, int64_t n) override {
    auto examples = std::make_unique<Examples>();
    auto marks = std::make_unique<RowMarks>();
    examples->assign(state_.network, tokens, targets, n);
    examples->finish_numbering();
    marks->reserve(state_.network, *examples);
    examples_.swap(examples);
    marks_.swap(marks);
  }

  void run(const Steps& steps, Context& context) override {
    // Pairs that are counted need no room for logits.
    state_.reserve(steps.batch, counts_pairs(steps.batch) ? 0 : examples_->contexts(state_.network));
    if (!transposed_is_current_) transpose_weights(state_, context);
    transposed_is_current_ = true;
    state_.update_at_once = state_.optimizer.kind == OptimizerKind::kSgd && state_.optimizer.most_norm == 0 &&
                            ExampleChunks{steps.batch}.count() == 1;
    prepare(state_.minibatches[0], steps, 0);
    for (int64_t k = 0; k < steps.count; ++k) {
      state_.context.begin_step(context);
      state_.learning_rate = steps.learning_rates[k];
      if (state_.optimizer.averages) state_.average_share = steps.average_shares[k];
      state_.now = &state_.minibatches[k % 2];
      steps.losses[k] = loss_and_gradients() / double(steps.batch);
      if (k + 1 == steps.count) {
        end_step();
      } else {
        end_step_and_prepare(steps, k + 1);
      }
      ++state_.updates;
    }
  }

  void logits(const int32_t* tokens, int64_t n, void* result, Context& context) override {
    const Network& network = state_.network;
    if (network.level_count == 0) {  // the rows of the embedding are the logits
      for (int64_t i = 0; i < n; ++i) {
        __builtin_memcpy(static_cast<T*>(result) + i * network.vocab,
                         state_.value(tokens[i] * state_.layout.embedding_stride), network.vocab * sizeof(T));
      }
      return;
    }
    const int64_t most = smaller(1024, INT32_MAX / network.block);  // tokens are numbered in 32 bits
    const int64_t stride = padded<T>(network.vocab);
    for (int64_t first = 0; first < n; first += most) {
      const int64_t count = smaller(most, n - first);
      state_.reserve(count, count);
      state_.context.begin_step(context);
      Minibatch& minibatch = state_.minibatches[0];
      minibatch.context.begin_step(context);
      minibatch.size = count;
      evaluated_.assign(network, tokens + first * network.block, nullptr, count);
      take_all_rows(minibatch, network, evaluated_);
      state_.now = &minibatch;
      forward(state_, false);
      const int64_t rows = minibatch.outputs.count;
      state_.for_chunks(rows, logits_flops(state_), [&](const RowRange& range) { logits_rows(state_, range); });
      for (int64_t i = 0; i < count; ++i) {
        T* row = static_cast<T*>(result) + (first + i) * network.vocab;
        __builtin_memcpy(row, state_.logits.data() + evaluated_.data()[i].context * stride, network.vocab * sizeof(T));
      }
    }
  }

 private:
  const Place& place(int64_t parameter) const { return state_.layout.places[parameter]; }
  T* arena(Slot slot) const { return state_.arena[static_cast<int>(slot)].data(); }
  size_t bytes_of(int64_t level) const { return state_.network.levels[level].size * sizeof(T); }

  // Values are compared as unsigned numbers, among which the negative ones are the largest.
  template <class Unsigned, class Value>
  static bool all_below_of(const Value* values, int64_t n, int64_t limit) {
    Unsigned beyond = 0;
    for (int64_t i = 0; i < n; ++i) beyond |= Unsigned(Unsigned(values[i]) >= Unsigned(limit));
    return beyond == 0;
  }

  bool counts_pairs(int64_t batch) const {
    return pairs_can_be_counted(state_.num_levels(), state_.network.vocab, batch);
  }

  void prepare(Minibatch& minibatch, const Steps& steps, int64_t step) {
    minibatch.context.begin_step(state_.context);
    gather(minibatch, *examples_, steps, step);
    if (!counts_pairs(steps.batch)) find_rows(minibatch, state_.network, *examples_, *marks_);
  }

  double loss_and_gradients() {
    if (counts_pairs(state_.now->size)) return cross_entropy_of_pairs(state_);
    forward(state_, true);
    const double loss = output(state_);
    backward(state_);
    return loss;
  }

  void end_step() {
    first_level_gradients(state_);
    update(state_);
  }

  // Both run at once, on two threads, where each is worth a thread and the end of the step is not worth several.
  // Neither can be shared well. Measured: 90 us one after the other, 85 us at once (an MLP's step at batch 1,024, two
  // threads).
  void end_step_and_prepare(const Steps& steps, int64_t step) {
    constexpr double kLeastMicros = 5, kMostMicros = 100;
    const double preparing = 0.003 * double(steps.batch) * double(state_.network.block);
    const double ending = double(state_.layout.size) * double(4 + state_.chunks()) / kFlopsPerMicro;
    const bool together = preparing > kLeastMicros && ending < kMostMicros;
    parallel_for(state_.context, 2, together ? kMostMicros : 0, [&](int64_t task) {
      if (task == 0) {
        end_step();
      } else {
        if (together) clear(state_.minibatches[step % 2]);
        prepare(state_.minibatches[step % 2], steps, step);
      }
    });
  }

  StepState<T> state_;
  std::unique_ptr<Examples> examples_;  // those that `run` draws from
  std::unique_ptr<RowMarks> marks_;
  Examples evaluated_;  // a part of those that `logits` computes
  bool transposed_is_current_ = false;
};

}  // namespace

engine::StepEngine* make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype) {
  if (dtype == DType::kFloat32) return new CpuStepEngine<float>(network, optimizer);
  if (dtype == DType::kFloat64) return new CpuStepEngine<double>(network, optimizer);
  throw std::runtime_error("the step engine takes float32 and float64");
}

}  // namespace namegen::cpu::NAMEGEN_ISA
