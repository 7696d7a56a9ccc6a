// A GPT as a predictor. What names have in common at their beginning is computed once, and its keys and values are kept
// as long as there is room (prefix_rows.h). A name that is longer than the block is seen through a window that slides:
// all its positions move with each letter, so the window is computed anew, for each name by itself.
//
// A thread keeps row_bytes of keys and values and at most kMostRows rows, or those of 2 blocks where these are more;
// and the windows of a group of names.
#pragma once

#include "engine/gpt/gpt_decoder.h"
#include "engine/sampling/predictor.h"

namespace namegen::sampling {

// In torch's layout; a vector is one row.
struct GptParameter {
  const void* data;
  int64_t rows, columns;
};

class GptPredictor final : public Predictor {
 public:
  // `parameters` are those of GptEngine, in its order and of `dtype`. Throws std::invalid_argument where the sizes do
  // not fit.
  GptPredictor(const engine::GptNetwork& network, DType dtype, const std::vector<GptParameter>& parameters,
               int64_t row_bytes = kRowBytes);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

  const engine::GptNetwork& network() const { return network_; }
  const engine::GptDecoder& decoder() const { return *decoder_; }
  int64_t most_rows() const;
  bool is_float64() const { return is_float64_; }
  // Whether a context is too long for a key. Then contexts belong to the predictions (context_tree.h).
  bool has_long_contexts() const { return network_.block * bits() > kKeyBits; }

  static constexpr int64_t kRowBytes = int64_t{64} << 20;
  static constexpr int64_t kMostRows = int64_t{1} << 18;

 private:
  engine::GptNetwork network_;
  int64_t row_bytes_;
  bool is_float64_;
  std::unique_ptr<engine::GptDecoder> decoder_;
};

}  // namespace namegen::sampling
