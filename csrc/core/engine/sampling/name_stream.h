// Names in batches: as many as asked for, only new ones, no repeats, and how many of each kind there were.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/sampling/name_folding.h"
#include "engine/sampling/name_set.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

struct StreamOptions {
  int64_t names;  // how many to give
  uint64_t seed;
  bool novel;           // leave out training names
  bool unique;          // leave out repeats
  bool count_distinct;  // count the different names without `unique`
  int64_t patience;     // give up once so many names in a row had to be left out
  int64_t batch_size;   // names drawn at a time
  int threads;
  int64_t max_length = 0;      // a name that has so many letters was cut; 0 where names are not cut
  bool leave_out_cut = false;  // leave out names that were cut
};

struct Counts {
  int64_t names = 0;           // given
  int64_t fresh = 0;           // of these, not training names
  int64_t drawn = 0;           // with those left out
  int64_t drawn_fresh = 0;     // of these, not training names
  int64_t drawn_distinct = 0;  // different ones among those drawn, where they are counted
  int64_t cut = 0;             // of those drawn, cut at the greatest length
};

class NameStream {
 public:
  // Each of the `training_names` has a newline behind it. They are folded where names are folded.
  NameStream(std::unique_ptr<Sampler> sampler, std::string training_names, const StreamOptions& options);

  // Compares names with the training names after folding them. It must be called before the first name is drawn.
  void fold(NameFolding folding) { folding_ = std::move(folding); }
  // Draws the next batch and returns the names that are given, each with a newline. It may be empty, where all names
  // were left out. Names drawn on several threads come in the same order. An exception of `poll` ends the call.
  std::string next(const Poll& poll);
  bool ended() const { return counts_.names == options_.names || gave_up() || too_few_.has_value(); }
  // Whether patience has come to its end. No more names come then.
  bool gave_up() const { return left_out_in_a_row_ >= options_.patience; }
  // What the sampler threw, where it found a name too seldom. No more names come then.
  const std::optional<TooFewAccepted>& too_few() const { return too_few_; }
  const Counts& counts() const { return counts_; }

 private:
  bool is_filtered() const { return options_.novel || options_.unique; }
  bool keeps_names() const { return options_.unique || options_.count_distinct; }
  void add_training_names(std::string names);
  struct Part {
    std::string text;
    std::optional<TooFewAccepted> too_few;
  };
  Part drawn(int64_t count, const Poll& poll);
  void draw_part(size_t number, int64_t first, int64_t names, Part& part, const Poll& poll);
  void draw_on_threads(int64_t count, std::vector<Part>& parts, const Poll& poll);
  bool is_cut(std::string_view name) const;
  bool holds_cut(std::string_view text) const;
  size_t filter(std::string& text);
  void find_known(const std::string_view* names, size_t count, bool* known);

  std::vector<std::unique_ptr<Sampler>> samplers_;  // one for each thread
  StreamOptions options_;
  NameSet training_names_, seen_;
  NameFolding folding_;
  std::string folded_;  // names in hand, folded
  Counts counts_;
  int64_t left_out_in_a_row_ = 0;
  std::optional<TooFewAccepted> too_few_;
  uint64_t position_ = 0;
  int64_t batch_size_;
};

}  // namespace namegen::sampling
