#include "engine/sampling/gpt_predictor.h"

#include <algorithm>

#include "engine/require.h"
#include "engine/sampling/aligned_array.h"
#include "engine/sampling/context_tree.h"
#include "engine/sampling/prefix_rows.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

namespace {

constexpr int64_t kMostWindowPositions = 1024;  // of windows that are computed together

}  // namespace

class GptPredictions final : public Predictions {
 public:
  GptPredictions(std::shared_ptr<const Predictor> owner, const GptPredictor& predictor)
      : owner_(std::move(owner)),
        predictor_(predictor),
        block_(predictor.network().block),
        prefixes_(predictor.most_rows()),
        group_(std::clamp(prefixes_.capacity() / (2 * block_), int64_t{1}, kMostContexts)),
        window_group_(std::clamp(kMostWindowPositions / block_, int64_t{1}, group_)),
        decoding_(predictor.decoder().start(prefixes_.capacity() + window_group_ * block_, group_ * block_, group_)),
        symbols_(block_),
        number_of_row_(prefixes_.capacity() + window_group_ * block_, -1) {
    const int64_t stride = predictor.decoder().logits_stride();
    if (predictor.is_float64()) {
      wide_logits_ = AlignedArray<double>(kMostContexts * stride);
    }
    logits_ = AlignedArray<float>(kMostContexts * stride);
    if (predictor.has_long_contexts()) tree_ = std::make_unique<ContextTree>();
  }

  ContextTree* own_contexts() override { return tree_.get(); }

  const float* logits(const Key* contexts, int64_t count) override {
    const int64_t stride = predictor_.decoder().logits_stride();
    if (!predictor_.is_float64()) {
      compute<float>(contexts, count, logits_.data());
    } else {
      compute<double>(contexts, count, wide_logits_.data());
      std::transform(wide_logits_.data(), wide_logits_.data() + count * stride, logits_.data(),
                     [](double logit) { return static_cast<float>(logit); });
    }
    return logits_.data();
  }

  const double* wide_logits(const Key* contexts, int64_t count) override {
    if (!predictor_.is_float64()) return nullptr;
    compute<double>(contexts, count, wide_logits_.data());
    return wide_logits_.data();
  }

 private:
  // The prefixes of contexts that hold the start of their name, and after these the windows of the others.
  template <class T>
  void compute(const Key* contexts, int64_t count, T* logits) {
    windows_.clear();
    for (int64_t first = 0; first < count; first += group_) {
      const int64_t n = std::min(group_, count - first);
      begin_positions();
      prefixes_.make_room(n * block_);
      for (int64_t i = first; i < first + n; ++i) {
        const int64_t length = find_symbols(contexts[i]);
        if (symbols_[0] == 0) {
          add_prefix(length);
          place_.push_back(i);
        } else {
          windows_.push_back(i);
        }
      }
      compute_positions(logits);
    }
    const auto windows = static_cast<int64_t>(windows_.size());
    for (int64_t first = 0; first < windows; first += window_group_) {
      begin_positions();
      for (int64_t w = first; w < std::min(first + window_group_, windows); ++w) {
        find_symbols(contexts[windows_[w]]);
        add_window(w - first);
        place_.push_back(windows_[w]);
      }
      compute_positions(logits);
    }
  }

  void begin_positions() {
    for (const int32_t row : new_rows_) number_of_row_[row] = -1;
    for (auto* list : {&symbol_, &depth_, &path_, &wanted_, &new_rows_}) list->clear();
    path_begin_.clear();
    place_.clear();
  }

  // The symbols behind which a context asks, from the start of the name on, or else a window of the whole block.
  int64_t find_symbols(Key context) {
    if (tree_ != nullptr) return tree_->last_symbols(context, block_, symbols_.data());
    const int bits = predictor_.bits();
    const Key mask = (Key{1} << bits) - 1;
    int64_t length = 0;
    do {
      symbols_[length] = static_cast<int32_t>(context & mask);
      context >>= bits;
    } while (symbols_[length++] != 0 && length < block_);
    std::reverse(symbols_.begin(), symbols_.begin() + length);
    return length;
  }

  // Adds the positions of a prefix that have no row, and its last one, whose logits are wanted.
  void add_prefix(int64_t length) {
    const auto begin = static_cast<int64_t>(path_.size());
    int32_t row = PrefixRows::kNone;
    for (int64_t depth = 0; depth < length; ++depth) {
      int32_t next = prefixes_.find(row, symbols_[depth]);
      const bool is_new = next == PrefixRows::kNone;
      if (is_new) next = prefixes_.add(row, symbols_[depth]);
      row = next;
      path_.push_back(row);
      if (is_new || (depth == length - 1 && number_of_row_[row] < 0)) add_position(depth, begin, row);
    }
    wanted_.push_back(number_of_row_[row]);
  }

  void add_window(int64_t number) {
    const auto begin = static_cast<int64_t>(path_.size());
    for (int64_t depth = 0; depth < block_; ++depth) {
      path_.push_back(static_cast<int32_t>(prefixes_.capacity() + number * block_ + depth));
      add_position(depth, begin, path_.back());
    }
    wanted_.push_back(number_of_row_[path_.back()]);
  }

  void add_position(int64_t depth, int64_t path_begin, int32_t row) {
    number_of_row_[row] = static_cast<int32_t>(symbol_.size());
    new_rows_.push_back(row);
    symbol_.push_back(symbols_[depth]);
    depth_.push_back(static_cast<int32_t>(depth));
    path_begin_.push_back(path_begin);
  }

  template <class T>
  void compute_positions(T* logits) {
    const auto wanted = static_cast<int64_t>(wanted_.size());
    if (wanted == 0) return;
    const int64_t stride = predictor_.decoder().logits_stride();
    const auto* found =
        static_cast<const T*>(decoding_->compute({static_cast<int64_t>(symbol_.size()), symbol_.data(), depth_.data(),
                                                  path_begin_.data(), path_.data(), wanted, wanted_.data()}));
    for (int64_t i = 0; i < wanted; ++i) std::copy_n(found + i * stride, stride, logits + place_[i] * stride);
  }

  std::shared_ptr<const Predictor> owner_;
  const GptPredictor& predictor_;
  const int64_t block_;
  PrefixRows prefixes_;
  const int64_t group_;         // contexts that are computed together: their rows fill half of the room at most
  const int64_t window_group_;  // windows that are computed together, in rows behind those of the prefixes
  std::unique_ptr<engine::GptDecoding> decoding_;
  std::unique_ptr<ContextTree> tree_;
  AlignedArray<float> logits_;  // (kMostContexts, padded(vocab))
  AlignedArray<double> wide_logits_;
  std::vector<int32_t> symbols_;        // (block), of one context
  std::vector<int64_t> windows_;        // contexts that do not hold the start of their name
  std::vector<int32_t> number_of_row_;  // (rows): of the position that is computed for it, or -1
  // Of the call in the making, see GptPositions:
  std::vector<int32_t> symbol_, depth_, path_, wanted_, new_rows_;
  std::vector<int64_t> path_begin_;
  std::vector<int64_t> place_;  // of each wanted position: the context that asks for it
};

GptPredictor::GptPredictor(const engine::GptNetwork& network, DType dtype, const std::vector<GptParameter>& parameters,
                           int64_t row_bytes)
    : Predictor(network.vocab, network.block),
      network_(network),
      row_bytes_(row_bytes),
      is_float64_(dtype == DType::kFloat64) {
  if (has_long_contexts()) {
    set_states();
  } else {
    set_block(network.block);
  }
  // Each layer has parameters: a decoder of more layers than these is not even laid out.
  const auto count = static_cast<int64_t>(parameters.size());
  require(network.layers <= count, "there must be parameters for each layer");
  decoder_ = engine::make_gpt_decoder(network, dtype);
  require(count == decoder_->parameter_count(),
          "parameters must be " + std::to_string(decoder_->parameter_count()) + ", but are " + std::to_string(count));
  for (int64_t p = 0; p < count; ++p) {
    const engine::ParameterShape shape = decoder_->parameter_shape(p);
    require(parameters[p].rows == shape.rows && parameters[p].columns == shape.columns,
            "parameter " + std::to_string(p) + " must be (" + std::to_string(shape.rows) + ", " +
                std::to_string(shape.columns) + "), but is (" + std::to_string(parameters[p].rows) + ", " +
                std::to_string(parameters[p].columns) + ")");
  }
  for (int64_t p = 0; p < count; ++p) decoder_->take(p, parameters[p].data);
}

int64_t GptPredictor::most_rows() const {
  return std::max(std::min(row_bytes_ / decoder_->row_bytes(), kMostRows), 2 * network_.block);
}

std::unique_ptr<Predictions> GptPredictor::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<GptPredictions>(std::move(self), *this);
}

}  // namespace namegen::sampling
