// Names one batch after another: as many as asked for, only new ones, no repeats, and the counts of all this.
#pragma once

#include <memory>
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
  int64_t patience;     // give up once so many names drawn in a row had to be left out
  int64_t batch_size;   // names drawn at a time
  int threads;
};

struct Counts {
  int64_t names = 0;           // given
  int64_t fresh = 0;           // of these, not training names
  int64_t drawn = 0;           // those left out included
  int64_t drawn_fresh = 0;     // of these, not training names
  int64_t drawn_distinct = 0;  // different ones among those drawn, where they are kept
};

class NameStream {
 public:
  // `training_names`: each with a newline behind it, folded where names are folded.
  NameStream(std::unique_ptr<Sampler> sampler, std::string training_names, const StreamOptions& options);

  // Compares names with the training names after folding them; to be called before the first name is drawn.
  void fold(NameFolding folding) { folding_ = std::move(folding); }
  // The names of the next batch that are given, each with a newline; may be empty where all were left out. Names drawn
  // on several threads come in the same order. What `poll` throws ends it.
  std::string next(const Poll& poll);
  bool ended() const { return counts_.names == options_.names || gave_up(); }
  // Whether patience came to an end: no more names come.
  bool gave_up() const { return left_out_in_a_row_ >= options_.patience; }
  const Counts& counts() const { return counts_; }

 private:
  bool is_filtered() const { return options_.novel || options_.unique; }
  bool keeps_names() const { return options_.unique || options_.count_distinct; }
  std::string drawn(int64_t count, const Poll& poll);
  void draw_on_threads(int64_t count, std::vector<std::string>& parts, const Poll& poll);
  size_t filter(std::string& text);
  void find_known(const std::string_view* names, size_t count, bool* known);

  std::vector<std::unique_ptr<Sampler>> samplers_;  // one a thread
  StreamOptions options_;
  NameSet training_names_, seen_;
  NameFolding folding_;
  std::string folded_;  // names in hand, folded
  Counts counts_;
  int64_t left_out_in_a_row_ = 0;
  uint64_t position_ = 0;
  int64_t batch_size_;
};

}  // namespace namegen::sampling
