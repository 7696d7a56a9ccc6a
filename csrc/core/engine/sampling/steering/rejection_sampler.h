// Names by rejection: for models with more contexts than messages could be held for. See beginnings.h for what is drawn
// and why it is the model's own distribution, given that a name is accepted.
//
// A name is given up as soon as no accepted one starts like it, and drawn anew with further random numbers: those of
// its seed, its number and the count of tries. So it depends on nothing else.
#pragma once

#include "engine/sampling/name_cells.h"
#include "engine/sampling/steering/beginnings.h"

namespace namegen::sampling {

class RejectionSampler final : public Sampler {
 public:
  static constexpr char kRejected = '\0';  // no name has it

  struct Limits {
    int64_t letters;  // behind the prefix; a longer name is rejected
    int64_t tries;    // for one name; TooFewAccepted is thrown behind them
    // Writes kRejected in place of a name that was not found, and throws nothing. A mixture draws such a name anew from
    // any of its parts.
    bool writes_rejected = false;
  };

  // Throws std::invalid_argument where the arguments do not fit together.
  RejectionSampler(std::shared_ptr<const Predictor> predictor, Shaping shaping,
                   std::shared_ptr<const Automaton> automaton, std::shared_ptr<const Beginnings> beginnings,
                   Spelling spelling, Limits limits);

  std::unique_ptr<Sampler> copy() const override;
  void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) override;

 private:
  void draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll);
  void write_found(int64_t count, std::string& text);
  void try_once(uint64_t seed, uint64_t first, uint32_t attempt, const Poll& poll);
  void draw_symbols(int64_t active, int64_t step, const Poll& poll);
  void draw_listed(const Rows& rows);
  void find_contexts(const Poll& poll);
  void find_rows(bool is_full);
  void make_row(uint32_t context, int64_t state, bool is_full, uint32_t row);

  std::shared_ptr<const Predictor> predictor_;
  Shaping shaping_;
  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const Beginnings> beginnings_;
  Spelling spelling_;
  Limits limits_;
  const SamplingKernels& kernels_;
  std::unique_ptr<ContextRows> context_rows_;  // made when the first name is drawn
  Key start_ = 0;                              // the context behind the prefix
  NameCells cells_;
  int64_t accepted_ = 0, tries_ = 0;

  // Behind the beginnings: the probabilities of contexts, and the rows of contexts, states and whether a name is full.
  Memo contexts_;
  AlignedArray<double> probabilities_;  // (contexts, vocab)
  Memo pairs_;
  AlignedArray<uint32_t> thresholds_;  // (pairs) rows of vocab + 1 symbols; the last of them is a rejection
  AlignedArray<int32_t> last_;
  Rows rows_;
  std::vector<double> cumulative_;  // (vocab + 1)

  std::vector<uint32_t> wanted_;  // the slots of the names that are not found yet
  // Of each active name, by its place among them.
  AlignedArray<uint32_t> words_;  // (kTurn, batch), by the places when the words were drawn
  AlignedArray<uint32_t> slot_, place_, word_, symbol_;
  std::vector<int32_t> beginning_;  // -1 where the tree does not hold it
  std::vector<int32_t> state_;
  std::vector<Key> context_;
  // Some of the active names, by their places, and the rows that their symbols are drawn from.
  std::vector<uint32_t> listed_, listed_row_, listed_word_, listed_symbol_;
  std::vector<uint32_t> listed_context_;  // the number of each one's context
  std::vector<Key> missing_;              // contexts whose probabilities are wanted
};

}  // namespace namegen::sampling
