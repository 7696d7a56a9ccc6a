#include "engine/gpt/sequence_set.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace namegen::engine {

SequenceSet::SequenceSet() = default;
SequenceSet::~SequenceSet() = default;

void SequenceSet::assign(const int32_t* tokens, const int32_t* targets, int64_t count, int64_t block) {
  std::vector<int64_t> lengths(count);
  for (int64_t row = 0; row < count; ++row) {
    int64_t length = block;
    while (length > 0 && targets[row * block + length - 1] == kIgnored) --length;
    lengths[row] = length;
  }
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  // Equal sequences stay in the order of their rows, so that one set of rows has one order.
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const int32_t *row_a = tokens + a * block, *row_b = tokens + b * block;
    return std::lexicographical_compare(row_a, row_a + lengths[a], row_b, row_b + lengths[b]);
  });

  Arrays arrays;
  arrays.places.resize(count);
  arrays.begin.resize(count + 1);
  for (int64_t place = 0; place < count; ++place) {
    arrays.places[order[place]] = place;
    arrays.begin[place + 1] = arrays.begin[place] + lengths[order[place]];
  }
  arrays.tokens.resize(arrays.begin[count]);
  arrays.targets.resize(arrays.begin[count]);
  for (int64_t place = 0; place < count; ++place) {
    const int64_t row = order[place], at = arrays.begin[place];
    std::copy_n(tokens + row * block, lengths[row], arrays.tokens.begin() + at);
    std::copy_n(targets + row * block, lengths[row], arrays.targets.begin() + at);
  }
  arrays_ = std::move(arrays);
}

int64_t SequenceSet::count() const { return static_cast<int64_t>(arrays_.places.size()); }
int64_t SequenceSet::place_of(int64_t row) const { return arrays_.places[row]; }
int64_t SequenceSet::length(int64_t place) const { return arrays_.begin[place + 1] - arrays_.begin[place]; }
const int32_t* SequenceSet::tokens(int64_t place) const { return arrays_.tokens.data() + arrays_.begin[place]; }
const int32_t* SequenceSet::targets(int64_t place) const { return arrays_.targets.data() + arrays_.begin[place]; }

}  // namespace namegen::engine
