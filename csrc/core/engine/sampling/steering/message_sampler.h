// Names by messages: none is rejected. For models whose contexts are few.
#pragma once

#include "engine/sampling/name_cells.h"
#include "engine/sampling/steering/messages.h"

namespace namegen::sampling {

// A row of thresholds is made for each context and state that names come to, and kept as far as memory allows.
class MessageSampler final : public Sampler {
 public:
  // Throws std::invalid_argument where the model's names are never accepted, or the spelling has other symbols.
  MessageSampler(std::shared_ptr<const Messages> messages, Spelling spelling);

  std::unique_ptr<Sampler> copy() const override;
  void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) override;

 private:
  void draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text);
  struct Cell {
    uint32_t context, state;
  };
  void make_room(int64_t active, int64_t count);
  uint32_t find_next(uint32_t row, uint32_t symbol);
  uint32_t row_of(uint32_t context, uint32_t state);
  void make_row(Cell cell, uint32_t row);

  std::shared_ptr<const Messages> messages_;
  Spelling spelling_;
  const SamplingKernels& kernels_;
  NameCells cells_;

  int64_t most_rows_;
  int64_t num_rows_ = 0;
  AlignedArray<uint32_t> thresholds_;
  AlignedArray<int32_t> last_;
  Rows rows_;
  AlignedArray<uint32_t>
      next_row_;             // (rows, padded(vocab)): the row behind each symbol and 1, or 0 where it is not known yet
  AlignedArray<Cell> cell_;  // (rows): what each was made for
  // Of each cell of the messages: its row and 1, or 0 where there is none yet. The memory comes zeroed from the system,
  // and what is never asked for is never touched.
  struct Free {
    void operator()(uint32_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint32_t, Free> row_of_cell_;
  std::vector<double> cumulative_;  // (vocab)

  // Of each active name, by its place among them.
  AlignedArray<uint32_t> words_;  // (kTurn, batch), by the places when the words were drawn
  AlignedArray<uint32_t> slot_, place_, row_, word_, symbol_;
};

}  // namespace namegen::sampling
