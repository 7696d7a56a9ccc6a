// The GPT's engine of one instruction set: parameters in and out, and steps as passes over pieces of the forest.
#include "engine/gpt/gpt_engine.h"

#include <stdexcept>

#include "engine/gpt/cpu/gpt_passes.h"
#include "kernels/cpu/add_arrays.h"
#include "kernels/cpu/optimizers.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using engine::Forest;
using engine::Interrupt;
using engine::Optimizer;
using engine::OptimizerKind;
using engine::SequenceSet;
using engine::Slot;
using engine::Steps;

// The most nodes of a piece. Measured: 23.0 ms a step for 256, 384 and 512, 25.4 ms for 768 (lecture GPT, batch 1,024,
// one thread, on a busy machine).
constexpr int64_t kPieceNodes = 384;

inline bool is_asked(const Interrupt& interrupt) {
  return interrupt.asked != nullptr && interrupt.asked(interrupt.state);
}

// Pieces are dealt out to shares by their number alone. Each share has a gradient of its own, and the update adds these
// up. So there are few shares. Their number is a power of two, so that two or four threads have the same work.
int64_t share_count(int64_t pieces) {
  int64_t shares = 1;
  while (shares < 16 && 3 * shares <= pieces) shares *= 2;
  return shares;
}

template <class T>
class CpuGptEngine final : public engine::GptEngine {
 public:
  CpuGptEngine(const GptNetwork& network, const Optimizer& optimizer)
      : network_(network), optimizer_(optimizer), layout_(network) {
    const int64_t states = optimizer.kind == OptimizerKind::kAdamW ? 2 : optimizer.momentum != 0 ? 1 : 0;
    for (int64_t slot = 0; slot <= states; ++slot) arena_[slot].resize(layout_.size);
    if (optimizer.averages) arena_[static_cast<int>(Slot::kAverage)].resize(layout_.size);
    gradients_.resize(layout_.size);
    transposed_.resize(layout_.transposed_size);
  }
  ~CpuGptEngine() override {
    for (int64_t w = 0; w < memories_.size(); ++w) delete memories_.data()[w];
  }

  int64_t parameter_count() const override { return layout_.places.size(); }
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
  void set_updates(int64_t updates) override { updates_ = updates; }

  void set_examples(const int32_t* tokens, const int32_t* targets, int64_t n) override {
    examples_.assign(tokens, targets, n, network_.block);
  }

  void run(const Steps& steps, Context& context, const Interrupt& interrupt, int64_t* done) override {
    *done = 0;
    if (!transposed_is_current_) transpose_weights(context);
    transposed_is_current_ = true;
    for (int64_t k = 0; k < steps.count; ++k) {
      forest_.build(examples_, steps.indices + k * steps.batch, steps.batch, kPieceNodes);
      const double loss = loss_and_gradients(context, interrupt);
      if (is_asked(interrupt)) return;
      steps.losses[k] = loss / double(forest_.target_count());
      update(steps.learning_rates[k], optimizer_.averages ? steps.average_shares[k] : 0, context);
      ++updates_;
      ++*done;
    }
  }

  double sum_of_losses(const SequenceSet& set, int64_t first, int64_t end, Context& context,
                       const Interrupt& interrupt) override {
    forest_.build_range(set, first, end, kPieceNodes);
    const int64_t pieces = forest_.piece_count();
    losses_of(pieces);
    for_shares(pieces, false, context, [&](int64_t piece_number, PieceMemory<T>& memory) {
      const engine::ForestPiece piece = forest_.piece(piece_number);
      if (is_asked(interrupt)) return;
      gpt_forward(parameters(), piece, memory, false);
      losses_.data()[piece_number] = gpt_losses(parameters(), piece, memory);
    });
    return sum_of(losses_, pieces);
  }

 private:
  const GptPlace& place(int64_t parameter) const { return layout_.places.data()[parameter]; }
  T* arena(Slot slot) const { return arena_[static_cast<int>(slot)].data(); }
  GptParameters<T> parameters() const { return {network_, layout_, arena_[0].data(), transposed_.data()}; }

  void losses_of(int64_t count) {
    if (count > losses_.size()) losses_.resize(count);
  }
  static double sum_of(const Array<double>& values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += values.data()[i];
    return sum;
  }
  double micros_of_forest(bool training) const {
    const double flops = 2.0 * double(layout_.size - layout_.weights) * (training ? 3 : 1);
    return flops * double(forest_.node_count()) / kFlopsPerMicro;
  }

  // Calls body(i, memory) for i < count. Each thread has memory of its own.
  template <class Body>
  void for_shares(int64_t count, bool training, Context& context, const Body& body) {
    const double micros = micros_of_forest(training);
    const int64_t workers = smaller(count, larger(1, context.threads(micros)));
    reserve(workers, training);
    parallel_for(context, workers, micros, [&](int64_t worker) {
      for (int64_t i = count * worker / workers; i < count * (worker + 1) / workers; ++i) {
        body(i, *memories_.data()[worker]);
      }
    });
  }

  void reserve(int64_t workers, bool training) {
    if (workers > memories_.size()) {
      Array<PieceMemory<T>*> more;
      more.resize(workers);
      for (int64_t w = 0; w < memories_.size(); ++w) more.data()[w] = memories_.data()[w];
      memories_.swap(more);
    }
    const int64_t nodes = larger(forest_.most_nodes(), 1), longest = smaller(network_.block, nodes);
    for (int64_t w = 0; w < workers; ++w) {
      if (memories_.data()[w] == nullptr) memories_.data()[w] = new PieceMemory<T>;
      memories_.data()[w]->reserve(network_, nodes, longest, training);
    }
  }

  T* share_gradients(int64_t share) const {
    return share == 0 ? gradients_.data() : partial_.data() + (share - 1) * layout_.size;
  }

  double loss_and_gradients(Context& context, const Interrupt& interrupt) {
    const int64_t pieces = forest_.piece_count();
    shares_ = share_count(pieces);
    if ((shares_ - 1) * layout_.size > partial_.size()) partial_.resize((shares_ - 1) * layout_.size);
    losses_of(shares_);
    const T scale = T(1) / T(forest_.target_count());
    for_shares(shares_, true, context, [&](int64_t share, PieceMemory<T>& memory) {
      T* gradients = share_gradients(share);
      fill_zero(gradients, layout_.weights);
      bool begin = true;
      double loss = 0;
      for (int64_t p = pieces * share / shares_; p < pieces * (share + 1) / shares_; ++p) {
        const engine::ForestPiece piece = forest_.piece(p);
        if (piece.nodes == 0) continue;
        if (is_asked(interrupt)) return;
        gpt_forward(parameters(), piece, memory, true);
        loss += gpt_losses_and_gradients(parameters(), piece, memory, scale);
        gpt_backward(parameters(), piece, memory, gradients, begin);
        begin = false;
      }
      if (begin) fill_zero(gradients + layout_.weights, layout_.size - layout_.weights);
      losses_.data()[share] = loss;
    });
    return sum_of(losses_, shares_);
  }

  // Calls body(first, count) for slices of all parameters.
  template <class Body>
  void for_slices(int64_t work, Context& context, const Body& body) {
    constexpr int64_t kSlice = 4096;
    const double micros = double(layout_.size) * double(work) / kFlopsPerMicro;
    parallel_for(context, ceil_div(layout_.size, kSlice), micros,
                 [&](int64_t task) { body(task * kSlice, smaller(kSlice, layout_.size - task * kSlice)); });
  }

  void add_shares(int64_t first, int64_t count) {
    add_arrays(gradients_.data() + first, partial_.data() + first, shares_ - 1, layout_.size, count);
  }

  // The factor that brings the norm of all gradients down to the most that is allowed. What stands beyond a row's
  // columns is left out.
  double clip_factor_of_gradients() const {
    double squares = 0;
    for (int64_t p = 0; p < parameter_count(); ++p) squares += squares_of(place(p), gradients_.data());
    return clip_factor(optimizer_.most_norm, __builtin_sqrt(squares));
  }

  void update(double learning_rate, double average_share, Context& context) {
    const bool clips = optimizer_.most_norm > 0;
    double scale = 1;
    if (clips) {
      for_slices(shares_, context, [&](int64_t first, int64_t count) { add_shares(first, count); });
      scale = clip_factor_of_gradients();
    }
    const UpdateStep step(optimizer_, learning_rate, updates_, scale);
    for_slices(4 + shares_, context, [&](int64_t first, int64_t count) {
      const auto state_at = [&](Slot slot) { return arena(slot) == nullptr ? nullptr : arena(slot) + first; };
      const UpdatePiece<T> piece{arena(Slot::kValue) + first, state_at(Slot::kFirstState), state_at(Slot::kSecondState),
                                 gradients_.data() + first, count};
      if (!clips) add_shares(first, count);
      update_values<T>(optimizer_, piece, step);
      if (optimizer_.averages) update_average(state_at(Slot::kAverage), piece.value, count, T(average_share));
    });
    transpose_weights(context);
  }

  void transpose_weights(Context& context) {
    const double micros = double(layout_.transposed_size) / 1e4;
    parallel_for(context, network_.layers, micros, [&](int64_t l) {
      const GptLayer& layer = layout_.layers.data()[l];
      for (const GptLinear* linear : {&layer.projections, &layer.output, &layer.linear_1, &layer.linear_2}) {
        for (int64_t p = 0; p < PanelMatrix<T>{linear->inputs, linear->outputs}.panel_count(); ++p) {
          transpose_panel<T>(*linear, p, arena_[0].data(), transposed_.data());
        }
      }
    });
  }

  const GptNetwork network_;
  const Optimizer optimizer_;
  const GptLayout<T> layout_;
  Array<T> arena_[engine::kSlotCount];  // by Slot; states that the optimizer lacks are empty
  Array<T> gradients_;                  // laid out as the values: the first share's, then the sum of all
  Array<T> partial_;                    // the other shares'
  Array<T> transposed_;
  bool transposed_is_current_ = false;
  int64_t updates_ = 0;
  int64_t shares_ = 1;
  SequenceSet examples_;
  Forest forest_;
  Array<double> losses_;
  Array<PieceMemory<T>*> memories_;  // by thread
};

}  // namespace

engine::GptEngine* make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype) {
  if (dtype == DType::kFloat32) return new CpuGptEngine<float>(network, optimizer);
  if (dtype == DType::kFloat64) return new CpuGptEngine<double>(network, optimizer);
  throw std::runtime_error("the GPT's engine takes float32 and float64");
}

}  // namespace namegen::cpu::NAMEGEN_ISA
