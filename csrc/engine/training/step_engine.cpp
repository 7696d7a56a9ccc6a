// The step engine of one instruction set. A step is a sequence of passes over the whole minibatch, level by level; each
// pass is cut into chunks of examples that threads can share. Chunks depend on the sizes alone and are merged in order,
// so the bits do not depend on the number of threads.
#include "engine/training/step_engine.h"

#include <stdexcept>

#include "engine/training/optimizers.h"
#include "engine/training/parameters.h"
#include "engine/training/softmax_cross_entropy.h"
#include "kernels/cpu/embedding_concat_linear.h"
#include "kernels/cpu/functions.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using engine::Optimizer;
using engine::OptimizerKind;
using engine::Slot;
using engine::Steps;

// A minibatch is cut into at most 8 chunks of examples.
struct ExampleChunks {
  int64_t examples;
  int64_t count() const { return smaller(8, larger(1, examples / 128)); }
  int64_t first(int64_t chunk) const { return examples * chunk / count(); }
};

// What a minibatch needs at one level. All arrays but the statistics have one row a position and example.
template <class T>
struct LevelState {
  int64_t positions = 0;  // T, after grouping
  Array<T> z;             // before batch norm; unused without
  Array<T> y;             // after tanh
  Array<T> dz;            // gradient before tanh, then of z
  Array<T> mean, invstd;  // of the minibatch
  Array<T> running_mean, running_var;
};

template <class T>
class StepEngineOf final : public engine::StepEngine {
 public:
  StepEngineOf(const Network& network, const Optimizer& optimizer)
      : network_(network), optimizer_(optimizer), layout_(network) {
    const int64_t states = optimizer.kind == OptimizerKind::kAdamW ? 2 : optimizer.momentum != 0 ? 1 : 0;
    for (int64_t slot = 0; slot <= states; ++slot) arena_[slot].resize(layout_.size);
    gradient_.resize(layout_.size);
    transposed_.resize(layout_.transposed_size, kWidth<T>);
    int64_t positions = network.block;
    for (int64_t l = 0; l < num_levels(); ++l) {
      positions /= network.levels[l].group;
      levels_[l].positions = positions;
      for (Array<T>* array :
           {&levels_[l].mean, &levels_[l].invstd, &levels_[l].running_mean, &levels_[l].running_var}) {
        array->resize(stride(l));
      }
    }
  }

  int64_t parameter_count() const override { return layout_.place_count; }
  ParameterShape parameter_shape(int64_t parameter) const override {
    return {layout_.places[parameter].rows, layout_.places[parameter].columns};
  }
  void take(int64_t parameter, Slot slot, const void* data) override {
    take_parameter(layout_.places[parameter], static_cast<const T*>(data), arena(slot));
    if (slot == Slot::kValue) transposed_is_current_ = false;
  }
  void give(int64_t parameter, Slot slot, void* data) const override {
    give_parameter(layout_.places[parameter], arena(slot), static_cast<T*>(data));
  }
  void take_statistics(int64_t level, const void* mean, const void* var) override {
    const LevelState<T>& state = levels_[level];
    const size_t bytes = network_.levels[level].size * sizeof(T);
    __builtin_memcpy(state.running_mean.data(), mean, bytes);
    __builtin_memcpy(state.running_var.data(), var, bytes);
  }
  void give_statistics(int64_t level, void* mean, void* var) const override {
    const LevelState<T>& state = levels_[level];
    const size_t bytes = network_.levels[level].size * sizeof(T);
    __builtin_memcpy(mean, state.running_mean.data(), bytes);
    __builtin_memcpy(var, state.running_var.data(), bytes);
  }
  void set_updates(int64_t updates) override { updates_ = updates; }

  void run(const Steps& steps, Context& context) override {
    reserve(steps.batch);
    refresh_transposed(context);
    update_at_once_ = optimizer_.kind == OptimizerKind::kSgd && ExampleChunks{steps.batch}.count() == 1;
    for (int64_t k = 0; k < steps.count; ++k) {
      context_.begin_step(context);
      learning_rate_ = steps.learning_rates[k];
      gather(steps, steps.indices + k * steps.batch);
      forward(steps.batch, true);
      steps.losses[k] = cross_entropy(steps.batch) / double(steps.batch);
      backward(steps.batch);
      update(steps.batch, learning_rate_);
      ++updates_;
    }
  }

  void logits(const int32_t* tokens, int64_t n, void* result, Context& context) override {
    constexpr int64_t kMost = 1024;
    const int64_t stride = padded<T>(network_.vocab);
    for (int64_t first = 0; first < n; first += kMost) {
      const int64_t count = smaller(kMost, n - first);
      reserve(count);
      context_.begin_step(context);
      __builtin_memcpy(tokens_.data(), tokens + first * network_.block, count * network_.block * sizeof(int32_t));
      forward(count, false);
      for (int64_t i = 0; i < count; ++i) {
        T* row = static_cast<T*>(result) + (first + i) * network_.vocab;
        __builtin_memcpy(row, logits_.data() + i * stride, network_.vocab * sizeof(T));
      }
    }
  }

 private:
  T* arena(Slot slot) const { return arena_[static_cast<int>(slot)].data(); }
  T* value(int64_t offset) const { return arena_[0].data() + offset; }
  T* gradient(int64_t offset) const { return gradient_.data() + offset; }
  int64_t stride(int64_t level) const { return layout_.levels[level].linear.weight_stride; }
  int64_t num_levels() const { return network_.level_count; }

  // Room for a minibatch of `batch` examples.
  void reserve(int64_t batch) {
    if (batch <= capacity_) return;
    tokens_.resize(batch * network_.block);
    targets_.resize(batch);
    const int64_t vocab = padded<T>(network_.vocab);
    logits_.resize(batch * vocab, kMostTileRows * vocab);
    for (int64_t l = 0; l < num_levels(); ++l) {
      LevelState<T>& state = levels_[l];
      const bool norm = network_.levels[l].batch_norm;
      // Tiles read whole rows beyond the last: of a level's own, or of as many as the next level takes together.
      const int64_t together = l + 1 < num_levels() ? network_.levels[l + 1].group : 1;
      const int64_t spare = kMostTileRows * together * stride(l), size = batch * state.positions * stride(l);
      state.y.resize(size, spare);
      state.dz.resize(size, spare);
      if (norm) state.z.resize(size, spare);
    }
    partial_.resize((ExampleChunks{batch}.count() - 1) * (layout_.size - layout_.shared));
    capacity_ = batch;
  }

  template <class Body>
  void for_chunks(int64_t batch, double flops, const Body& body) {
    const ExampleChunks chunks{batch};
    parallel_for(context_, chunks.count(), flops / kFlopsPerMicro,
                 [&](int64_t chunk) { body(chunk, chunks.first(chunk), chunks.first(chunk + 1)); });
  }

  void gather(const Steps& steps, const int64_t* indices) {
    const int64_t block = network_.block;
    for (int64_t i = 0; i < steps.batch; ++i) {
      const int32_t* source = steps.tokens + indices[i] * block;
      for (int64_t t = 0; t < block; ++t) tokens_.data()[i * block + t] = source[t];
      targets_.data()[i] = steps.targets[indices[i]];
    }
  }

  // ---- forward
  // -------------------------------------------------------------------------------------------------------

  void forward(int64_t batch, bool training) {
    if (num_levels() == 0) return embedding_as_logits(batch);
    for (int64_t l = 0; l < num_levels(); ++l) {
      if (l == 0) {
        first_level(batch);
      } else {
        hidden_level(l, batch);
      }
      if (network_.levels[l].batch_norm) normalise(l, batch, training);
    }
    const LinearLayout& linear = layout_.output;
    const int64_t columns = linear.weight_stride;
    const T* y = levels_[num_levels() - 1].y.data();
    for_chunks(batch, 2.0 * batch * linear.inputs * columns, [&](int64_t, int64_t first, int64_t end) {
      const LeftRows<T> left{y + first * linear.segment_stride, linear.segment_stride, 1, 0, linear.inputs};
      linear_rows(linear, left, end - first, [&](int64_t r, int64_t column, Vec<T> z) {
        store(logits_.data() + (first + r) * columns + column, z);
      });
    });
  }

  // store(row, column, z): the vectors of left @ weight + bias.
  template <class Store>
  void linear_rows(const LinearLayout& linear, const LeftRows<T>& left, int64_t rows, const Store& store_at) {
    const T* bias = linear.bias >= 0 ? value(linear.bias) : nullptr;
    multiply<T>(left, rows, value(linear.weight), linear.weight_stride, linear.weight_stride,
                [&](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                  for (int v = 0; v < decltype(nv)::value; ++v) {
                    const int64_t at = column + v * kWidth<T>;
                    store_at(r, at, bias == nullptr ? sums[v] : sums[v] + load(bias + at));
                  }
                });
  }

  void embedding_as_logits(int64_t batch) {
    const int64_t columns = layout_.embedding_stride;
    for_chunks(batch, double(batch) * columns, [&](int64_t, int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        __builtin_memcpy(logits_.data() + i * columns, value(tokens_.data()[i] * columns), columns * sizeof(T));
      }
    });
  }

  // Rows per symbol and position that occurs, then their sums per example.
  void first_level(int64_t batch) {
    const LinearLayout& linear = layout_.levels[0].linear;
    const int64_t rows = batch * levels_[0].positions, columns = linear.weight_stride;
    symbols_ = number_symbols({rows, linear.segments, network_.vocab, linear.inputs, linear.outputs}, tokens_.data(),
                              context_);
    gather_embedding();
    T* table = scratch_array<T>(context_, (symbols_.rows() + kMostTileRows) * columns);
    const RowTiles tiles(symbols_, context_);
    const double flops = 2.0 * symbols_.rows() * linear.inputs * columns;
    parallel_for(context_, tiles.count, flops / kFlopsPerMicro, [&](int64_t task) {
      const int64_t t = tiles.position[task], first = tiles.first[task];
      table_rows(linear, t, first, smaller(tiles.kRows, symbols_.base[t + 1] - first), table);
    });
    const bool norm = network_.levels[0].batch_norm;
    T* output = norm ? levels_[0].z.data() : levels_[0].y.data();
    for_chunks(batch, double(rows) * columns * (linear.segments + (norm ? 1 : 20)),
               [&](int64_t, int64_t first, int64_t end) {
                 const int64_t positions = levels_[0].positions;
                 const auto combine =
                     norm ? &StepEngineOf::template combine_any<false> : &StepEngineOf::template combine_any<true>;
                 (this->*combine)(table, first * positions, end * positions, output);
               });
  }

  // The embedding of every row of symbols_.
  void gather_embedding() {
    const int64_t columns = layout_.embedding_stride;
    T* rows = scratch_array<T>(context_, (symbols_.rows() + kMostTileRows) * columns);
    for (int64_t r = 0; r < symbols_.rows(); ++r) {
      const T* source = value(symbols_.symbols[r] * columns);
      for (int64_t c = 0; c < columns; c += kWidth<T>) store(rows + r * columns + c, load(source + c));
    }
    embedding_rows_ = rows;
  }

  void table_rows(const LinearLayout& linear, int64_t t, int64_t first, int64_t count, T* table) {
    const int64_t columns = linear.weight_stride;
    const T* bias = t == 0 && linear.bias >= 0 ? value(linear.bias) : nullptr;
    const LeftRows<T> left{embedding_rows_ + first * layout_.embedding_stride, layout_.embedding_stride, 1, 0,
                           linear.inputs};
    multiply<T>(left, count, value(linear.weight) + t * linear.inputs * columns, columns, columns,
                [&](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
                  T* target = table + (first + r) * columns + column;
#pragma GCC unroll 4
                  for (int v = 0; v < decltype(nv)::value; ++v) {
                    const Vec<T> z = bias == nullptr ? sums[v] : sums[v] + load(bias + column + v * kWidth<T>);
                    store(target + v * kWidth<T>, z);
                  }
                });
  }

  template <bool Tanh>
  void combine_any(const T* table, int64_t first, int64_t end, T* output) {
    switch (layout_.levels[0].linear.segments) {
      case 2:
        return combine<2, Tanh>(table, first, end, output);
      case 3:
        return combine<3, Tanh>(table, first, end, output);
      case 8:
        return combine<8, Tanh>(table, first, end, output);
      default:
        return combine<0, Tanh>(table, first, end, output);
    }
  }

  template <int Group, bool Tanh>
  void combine(const T* table, int64_t first, int64_t end, T* output) {
    const LinearLayout& linear = layout_.levels[0].linear;
    const int64_t group = Group > 0 ? Group : linear.segments, columns = linear.weight_stride;
    for (int64_t r = first; r < end; ++r) {
      const int32_t* row_of = symbols_.row_of + r * group;
      for (int64_t c = 0; c < columns; c += kWidth<T>) {
        Vec<T> z = load(table + row_of[0] * columns + c);
        for (int64_t t = 1; t < group; ++t) z += load(table + row_of[t] * columns + c);
        store(output + r * columns + c, Tanh ? tanh(z) : z);
      }
    }
  }

  // The rows of the level below that make up rows [first, ...) of level l's input.
  LeftRows<T> input_rows(int64_t l, int64_t first) const {
    const LinearLayout& linear = layout_.levels[l].linear;
    const int64_t row = linear.transposed_stride();
    return {levels_[l - 1].y.data() + first * row, row, linear.segments, linear.segment_stride, linear.inputs};
  }

  void hidden_level(int64_t l, int64_t batch) {
    const LinearLayout& linear = layout_.levels[l].linear;
    const int64_t positions = levels_[l].positions, columns = linear.weight_stride;
    const bool norm = network_.levels[l].batch_norm;
    T* output = norm ? levels_[l].z.data() : levels_[l].y.data();
    for_chunks(batch, 2.0 * batch * positions * linear.segments * linear.inputs * columns,
               [&](int64_t, int64_t first, int64_t end) {
                 T* rows = output + first * positions * columns;
                 linear_rows(linear, input_rows(l, first * positions), (end - first) * positions,
                             [&](int64_t r, int64_t column, Vec<T> z) {
                               store(rows + r * columns + column, norm ? z : tanh(z));
                             });
               });
  }

  void normalise(int64_t l, int64_t batch, bool training) {
    LevelState<T>& state = levels_[l];
    const engine::Level& level = network_.levels[l];
    const int64_t channels = stride(l);
    const int64_t rows = batch * state.positions;
    T* mean = training ? state.mean.data() : state.running_mean.data();
    if (!training) {
      for (int64_t c = 0; c < channels; ++c) {
        state.invstd.data()[c] = T(1) / square_root(state.running_var.data()[c] + T(level.eps));
      }
    }
    const double share = training ? biased_share(l, rows) : 1;
    batch_norm_forward<T>({rows, channels, state.z.data(), state.y.data(), norm_weight(l, share),
                           value(layout_.levels[l].norm_bias), mean, state.invstd.data(), state.running_mean.data(),
                           state.running_var.data(), training, level.momentum, level.eps * share, Activation::kTanh},
                          context_);
  }

  // The biased variance over that which level l divides by. With u = v / s: (x - m) / sqrt(u + eps) is
  // sqrt(s) (x - m) / sqrt(v + s eps), so the unbiased variance is the biased one with another weight and eps.
  double biased_share(int64_t l, int64_t rows) const {
    return network_.levels[l].unbiased ? double(rows - 1) / double(rows) : 1;
  }
  const T* norm_weight(int64_t l, double share) {
    const T* weight = value(layout_.levels[l].norm_weight);
    if (share == 1) return weight;
    T* scaled = scratch_array<T>(context_, stride(l));
    for (int64_t c = 0; c < stride(l); ++c) scaled[c] = weight[c] * square_root(T(share));
    return scaled;
  }

  // ---- loss
  // ----------------------------------------------------------------------------------------------------------

  // The sum of the losses in nats; the logits become their gradients.
  double cross_entropy(int64_t batch) {
    const int64_t columns = padded<T>(network_.vocab);
    double sums[8] = {};
    for_chunks(batch, 20.0 * batch * columns, [&](int64_t chunk, int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        sums[chunk] += softmax_cross_entropy_row<T>(logits_.data() + i * columns, network_.vocab, targets_.data()[i],
                                                    T(1) / T(batch));
      }
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
  }

  // ---- backward
  // ------------------------------------------------------------------------------------------------------

  // Where a chunk puts its share of the gradient of a parameter at `offset` (not a shared one).
  T* chunk_gradient(int64_t chunk, int64_t offset) const {
    if (chunk == 0) return gradient(offset);
    return partial_.data() + (chunk - 1) * (layout_.size - layout_.shared) + offset - layout_.shared;
  }

  void backward(int64_t batch) {
    if (num_levels() == 0) return embedding_gradient_from_logits(batch);
    const LinearLayout& output = layout_.output;
    const int64_t last = num_levels() - 1;
    for_chunks(batch, 4.0 * batch * output.inputs * output.weight_stride,
               [&](int64_t chunk, int64_t first, int64_t end) {
                 const T* y = levels_[last].y.data() + first * output.segment_stride;
                 const T* dlogits = logits_.data() + first * output.weight_stride;
                 linear_gradients(output, chunk, y, dlogits, end - first);
                 input_gradient(output, last, dlogits, first, end - first);
               });
    for (int64_t l = last; l > 0; --l) {
      const LinearLayout& linear = layout_.levels[l].linear;
      if (network_.levels[l].batch_norm) normalise_backward(l, batch);
      const int64_t positions = levels_[l].positions;
      for_chunks(batch, 4.0 * batch * positions * linear.segments * linear.inputs * linear.weight_stride,
                 [&](int64_t chunk, int64_t first, int64_t end) {
                   const int64_t rows = (end - first) * positions;
                   const T* dz = levels_[l].dz.data() + first * positions * linear.weight_stride;
                   linear_gradients(linear, chunk, input_rows(l, first * positions).rows, dz, rows);
                   input_gradient(linear, l - 1, dz, first * positions, rows);
                 });
    }
    if (network_.levels[0].batch_norm) normalise_backward(0, batch);
    first_level_gradients(batch);
  }

  // A chunk's share of the gradients of weight and bias.
  void linear_gradients(const LinearLayout& linear, int64_t chunk, const T* x, const T* dz, int64_t rows) {
    const int64_t columns = linear.weight_stride;
    T* weight = chunk_gradient(chunk, linear.weight);
    for (int64_t segment = 0; segment < linear.segments; ++segment) {
      multiply_weight(linear, segment, x + segment * linear.segment_stride, linear.transposed_stride(), dz, 0, columns,
                      rows, weight);
    }
    if (linear.bias >= 0) sum_rows<T>(dz, columns, columns, rows, chunk_gradient(chunk, linear.bias));
  }

  // The gradient of columns [column, column + count) of one segment of a weight, x^T @ dz; with one chunk SGD moves the
  // weight at once, and its gradient goes through no memory.
  void multiply_weight(const LinearLayout& linear, int64_t segment, const T* x, int64_t x_stride, const T* dz,
                       int64_t column, int64_t count, int64_t rows, T* gradient_of_weight) {
    const int64_t columns = linear.weight_stride, first = segment * linear.inputs * columns + column;
    T* target = gradient_of_weight + first;
    const auto multiply_and = [&](const auto& finish) {
      multiply_transposed<T>(x, x_stride, linear.inputs, dz + column, columns, count, rows, target, columns, finish);
    };
    if (update_at_once_) {
      T* weight = value(linear.weight) + first;
      const T rate = T(learning_rate_);
      if (optimizer_.momentum == 0 && optimizer_.weight_decay == 0) {
        multiply_and([=](int64_t at, Vec<T> g) { store(weight + at, load(weight + at) - g * rate); });
      } else {
        T* momentum = optimizer_.momentum != 0 ? state_at(Slot::kFirstState, linear.weight) + first : nullptr;
        multiply_and(
            [&](int64_t at, Vec<T> g) { update_sgd_at<T>(optimizer_, weight + at, momentum + at, g, rate, updates_); });
      }
    } else {
      multiply_and([&](int64_t at, Vec<T> g) { store(target + at, g); });
    }
  }

  // The gradient before the tanh of `level`, whose output is the linear's input.
  void input_gradient(const LinearLayout& linear, int64_t level, const T* dz, int64_t first, int64_t rows) {
    const int64_t row = linear.transposed_stride();
    const T* y = levels_[level].y.data() + first * row;
    T* target = levels_[level].dz.data() + first * row;
    const LeftRows<T> left{dz, linear.weight_stride, 1, 0, linear.outputs};
    multiply<T>(left, rows, transposed_.data() + linear.transposed, row, row,
                [&](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                  for (int v = 0; v < decltype(nv)::value; ++v) {
                    const int64_t at = r * row + column + v * kWidth<T>;
                    const Vec<T> value = load(y + at);
                    store(target + at, sums[v] * (1 - value * value));
                  }
                });
  }

  void normalise_backward(int64_t l, int64_t batch) {
    LevelState<T>& state = levels_[l];
    const LevelLayout& layout = layout_.levels[l];
    const int64_t rows = batch * state.positions;
    const double share = biased_share(l, rows);
    T* weight_gradient = gradient(layout.norm_weight);
    T* dz = state.dz.data();  // in place
    batch_norm_backward<T>(
        {rows, stride(l), state.z.data(), nullptr, dz, norm_weight(l, share), state.mean.data(), state.invstd.data(),
         dz, weight_gradient, gradient(layout.norm_bias), true, Activation::kNone},
        context_);
    for (int64_t c = 0; share != 1 && c < stride(l); ++c) weight_gradient[c] *= square_root(T(share));
  }

  // Sums of dz per symbol and position, and from them the gradients of the first level and of the embedding.
  void first_level_gradients(int64_t batch) {
    const LinearLayout& linear = layout_.levels[0].linear;
    const int64_t columns = linear.weight_stride, embed = linear.inputs;
    const T* sums = sum_by_symbol(batch, columns);
    if (linear.bias >= 0) sum_rows<T>(sums, columns, columns, symbols_.base[1], gradient(linear.bias));

    const double flops = 2.0 * symbols_.rows() * embed * columns;
    fill_zero(gradient(0), network_.vocab * layout_.embedding_stride);
    for (int64_t t = 0; t < linear.segments; ++t) {  // in order: positions share symbols
      const int64_t base = symbols_.base[t], count = symbols_.base[t + 1] - base;
      constexpr int64_t kRows = 24;
      parallel_for(context_, ceil_div(count, kRows), flops / linear.segments / kFlopsPerMicro, [&](int64_t task) {
        const int64_t first = base + task * kRows, rows = smaller(kRows, base + count - first);
        multiply_rows<T>(sums + first * columns, columns, rows, value(linear.weight) + t * embed * columns, columns,
                         embed, columns, [&](int64_t r, int64_t e, T product) {
                           gradient(symbols_.symbols[first + r] * layout_.embedding_stride)[e] += product;
                         });
      });
    }

    const Panels<T> panels{columns};
    parallel_for(context_, linear.segments * panels.count(), flops / kFlopsPerMicro, [&](int64_t task) {
      const int64_t t = task / panels.count(), panel = task % panels.count(), base = symbols_.base[t];
      multiply_weight(linear, t, embedding_rows_ + base * layout_.embedding_stride, layout_.embedding_stride,
                      sums + base * columns, panels.first(panel), panels.vectors(panel) * kWidth<T>,
                      symbols_.base[t + 1] - base, gradient(linear.weight));
    });
  }

  // (rows of symbols_, columns): the sum of dz over the examples that have the symbol at the position.
  const T* sum_by_symbol(int64_t batch, int64_t columns) {
    const int64_t group = symbols_.block, positions = levels_[0].positions;
    const int64_t size = symbols_.rows() * columns;
    const int64_t chunks = ExampleChunks{batch}.count();
    T* sums = scratch_array<T>(context_, chunks * size + kMostTileRows * columns);
    for_chunks(batch, 4.0 * batch * positions * columns * (group + 1), [&](int64_t chunk, int64_t first, int64_t end) {
      T* own = sums + chunk * size;
      fill_zero(own, size);
      for (int64_t r = first * positions; r < end * positions; ++r) {
        const T* dz = levels_[0].dz.data() + r * columns;
        for (int64_t t = 0; t < group; ++t) {
          T* row = own + symbols_.row_of[r * group + t] * columns;
          for (int64_t c = 0; c < columns; c += kWidth<T>) store(row + c, load(row + c) + load(dz + c));
        }
      }
    });
    merge_chunks(sums, size, chunks);
    return sums;
  }

  // Adds the arrays of `size` values of all chunks to the first one's.
  void merge_chunks(T* sums, int64_t size, int64_t chunks) {
    if (chunks == 1) return;
    constexpr int64_t kSlice = 2048;
    parallel_for(context_, ceil_div(size, kSlice), double(chunks) * size / kFlopsPerMicro, [&](int64_t task) {
      const int64_t end = smaller((task + 1) * kSlice, size);
      for (int64_t i = task * kSlice; i < end; i += kWidth<T>) {
        Vec<T> total = load(sums + i);
        for (int64_t chunk = 1; chunk < chunks; ++chunk) total += load(sums + chunk * size + i);
        store(sums + i, total);
      }
    });
  }

  void embedding_gradient_from_logits(int64_t batch) {
    const int64_t columns = layout_.embedding_stride, size = network_.vocab * columns;
    const int64_t chunks = ExampleChunks{batch}.count();
    T* sums = scratch_array<T>(context_, chunks * size);
    for_chunks(batch, 4.0 * batch * columns, [&](int64_t chunk, int64_t first, int64_t end) {
      T* own = sums + chunk * size;
      fill_zero(own, size);
      for (int64_t i = first; i < end; ++i) {
        T* row = own + tokens_.data()[i] * columns;
        const T* dlogits = logits_.data() + i * columns;
        for (int64_t c = 0; c < columns; c += kWidth<T>) store(row + c, load(row + c) + load(dlogits + c));
      }
    });
    merge_chunks(sums, size, chunks);
    __builtin_memcpy(gradient(0), sums, size * sizeof(T));
  }

  // ---- update
  // --------------------------------------------------------------------------------------------------------

  void update(int64_t batch, double learning_rate) {
    const int64_t partials = ExampleChunks{batch}.count() - 1;
    update_range(0, update_at_once_ ? layout_.first_weight : layout_.shared, 0, learning_rate);
    update_range(layout_.shared, update_at_once_ ? layout_.other_weights : layout_.size, partials, learning_rate);
    transpose_weights(context_);
  }

  void update_range(int64_t begin, int64_t end, int64_t partials, double learning_rate) {
    constexpr int64_t kSlice = 4096;
    const double micros = double(end - begin) * (4 + partials) / kFlopsPerMicro;
    parallel_for(context_, ceil_div(end - begin, kSlice), micros, [&](int64_t task) {
      const int64_t first = begin + task * kSlice;
      const UpdatePiece<T> piece{value(first),
                                 state_at(Slot::kFirstState, first),
                                 state_at(Slot::kSecondState, first),
                                 gradient(first),
                                 partials == 0 ? nullptr : partial_.data() + first - layout_.shared,
                                 partials,
                                 layout_.size - layout_.shared,
                                 smaller(kSlice, end - first)};
      if (optimizer_.kind == OptimizerKind::kAdamW) {
        update_adamw<T>(optimizer_, piece, learning_rate, updates_);
      } else {
        update_sgd<T>(optimizer_, piece, T(learning_rate), updates_);
      }
    });
  }

  T* state_at(Slot slot, int64_t offset) const {
    const Array<T>& array = arena_[static_cast<int>(slot)];
    return array.size() == 0 ? nullptr : array.data() + offset;
  }

  void refresh_transposed(Context& context) {
    if (!transposed_is_current_) transpose_weights(context);
    transposed_is_current_ = true;
  }

  void transpose_weights(Context& context) {
    if (num_levels() == 0) return;
    for (int64_t l = 1; l <= num_levels(); ++l) {  // the first level's backward pass reads weights as they lie
      const LinearLayout& linear = l < num_levels() ? layout_.levels[l].linear : layout_.output;
      const double micros = double(linear.outputs) * linear.transposed_stride() / 1e4;
      parallel_for(context, ceil_div(linear.outputs, kWidth<T>), micros,
                   [&](int64_t task) { transpose_weight<T>(linear, task * kWidth<T>, value(0), transposed_.data()); });
    }
  }

  Network network_;
  Optimizer optimizer_;
  ParameterLayout<T> layout_;
  Array<T> arena_[3];  // by Slot
  Array<T> gradient_;  // laid out as the values; of chunked parameters, the first chunk's share
  Array<T> partial_;   // the shares of the other chunks
  Array<T> transposed_;
  bool transposed_is_current_ = false;
  int64_t updates_ = 0;
  double learning_rate_ = 0;     // of the present step
  bool update_at_once_ = false;  // whether SGD moves a weight as soon as its gradient is known

  int64_t capacity_ = 0;  // examples
  Array<int32_t> tokens_;
  Array<int32_t> targets_;
  Array<T> logits_;  // then their gradients
  LevelState<T> levels_[Network::kMostLevels];
  SymbolRows symbols_{};               // of the minibatch, in scratch memory
  const T* embedding_rows_ = nullptr;  // the embedding of each row of symbols_, in scratch memory
  StepContext context_;
};

}  // namespace

engine::StepEngine* make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype) {
  if (dtype == DType::kFloat32) return new StepEngineOf<float>(network, optimizer);
  if (dtype == DType::kFloat64) return new StepEngineOf<double>(network, optimizer);
  throw std::runtime_error("the step engine takes float32 and float64");
}

}  // namespace namegen::cpu::NAMEGEN_ISA
