// The interface of sampling's arithmetic: plain parameter structs, and the table of functions that is compiled once per
// instruction set. Arrays are contiguous and row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace namegen::sampling {

// The number of symbols that one Philox block of four words draws.
inline constexpr int kTurn = 4;
inline constexpr uint32_t kLargestWord = 0xffffffffu;

// The probabilities of the next symbol, ready for inversion. There is a row for each context.
//
// A random word w of 32 bits stands for u = w / 2^32, and draws the first symbol whose cumulative probability exceeds
// u. In integers, and exactly: symbol j is passed over where ceil(c_j * 2^32) <= w. The symbol drawn is the number of
// symbols passed over. A threshold of 2^32 does not fit and is stored as 2^32 - 1. That is right for every word but the
// largest, for which `last` holds the symbol.
struct Rows {
  uint32_t* thresholds;  // (rows, width), ascending; behind the symbols 2^32 - 1
  int32_t* last;         // (rows): the symbol that the largest word draws
  int64_t width;         // row_width(vocab)
};

// 16 or 32 thresholds are compared with a word at once. More are searched by halves. That needs a power of two above
// the number of thresholds that can be passed, vocab - 1.
inline int64_t row_width(int64_t vocab) {
  if (vocab <= 17) return 16;
  if (vocab <= 33) return 32;
  int64_t width = 64;
  while (width < vocab) width *= 2;
  return width;
}

// Philox4x32-10 for `count` samples of a seed's stream. Word j of sample first + slot[i] goes to words[j * stride + i].
// The counter is (low half of the sample's number, high half, block, attempt), and the key is the two halves of the
// seed.
struct PhiloxWords {
  uint64_t seed;
  uint64_t first;
  const uint32_t* slot;  // (count)
  int64_t count;
  uint32_t block;
  uint32_t* words;       // (4, stride), written up to whole vectors
  int64_t stride;        // a multiple of 16, at least count
  uint32_t attempt = 0;  // counts the tries for one name, where a try may be rejected
};

// Draws four symbols for each active name, from a table of all contexts.
struct TableTurn {
  Rows rows;
  const uint32_t* next;   // (rows): the row of a context moved up by one is next + symbol
  const uint32_t* words;  // (4, stride)
  int64_t stride;
  int64_t active;
  uint32_t* row;   // (active), in and out: the context of each name
  uint32_t* slot;  // (active), in and out: the number of each name; names that go on come first
  void* cells;     // (names, cell_stride): where the symbols of names are written
  int cell_bytes;  // 1 or 2
  int64_t cell_stride;
  const uint16_t* code;  // (vocab): what is written for a symbol
  int64_t position;      // the place of the first of the four symbols in their names
  int64_t* length;       // (names), written for names that end
};

// Draws one symbol for each of `count` names, each from a row of its own.
struct RowDraws {
  Rows rows;
  const uint32_t* row;   // (count)
  const uint32_t* word;  // (count)
  int64_t count;
  uint32_t* symbol;  // (count)
};

// output[i] = activation(bias + sum over j < parts of tables[j * part_stride + index[i * parts + j] * row_stride]).
struct GatheredSum {
  const float* table;
  int64_t row_stride;
  int64_t part_stride;
  int64_t parts;
  const uint32_t* index;  // (count, parts)
  const float* bias;      // (features), padded with zeros to whole cache lines as rows are
  int64_t count;
  int64_t features;  // a multiple of 16
  bool tanh;
  float* output;  // (count, output_stride)
  int64_t output_stride;
};

// output = input @ packed: the matrix product of (count, depth) and (depth, columns).
struct Product {
  const float* input;
  int64_t input_stride;
  const float* packed;  // by pack_weight
  int64_t depth;
  int64_t columns;
  int64_t count;
  float* output;  // written up to whole vectors of columns
  int64_t output_stride;
};

// Makes rows of thresholds from logits. The probabilities are softmax((logit - largest) / temperature) over the symbols
// that take part. All but the top_k likeliest may be left out: of equal symbols, the first ones stay.
struct Softmax {
  const float* logits;  // (count, stride), padded with zeros to whole cache lines
  int64_t stride;
  int64_t count;
  int64_t vocab;
  double temperature;
  int64_t top_k;     // vocab where no symbol is left out
  bool without_end;  // leave symbol 0 out before the k likeliest are chosen
  double* scratch;   // (2, padded(vocab))
  Rows rows;
  const uint32_t* row;                  // (count): the row that each is written to
  const double* wide_logits = nullptr;  // (count, stride), read in place of `logits` where it is given
};

// Makes probabilities from logits, by the arithmetic of Softmax.
struct Probabilities {
  const float* logits;  // (count, stride), padded with zeros to whole cache lines
  int64_t stride;
  int64_t count;
  int64_t vocab;
  double temperature;
  int64_t top_k;                        // vocab where no symbol is left out
  bool without_end;                     // leave symbol 0 out before the k likeliest are chosen
  double* scratch;                      // (2, padded(vocab))
  double* output;                       // (count, vocab)
  const double* wide_logits = nullptr;  // as in Softmax
};

// Shapes logits, as Softmax does, and sums up exp of them, for logarithms of probabilities:
// log P(j) = shaped[j] - log_total.
struct LogTotals {
  const float* logits;  // (count, stride), padded with zeros to whole cache lines
  int64_t stride;
  int64_t count;
  int64_t vocab;
  double temperature;
  int64_t top_k;        // vocab where no symbol is left out
  bool without_end;     // leave symbol 0 out before the k likeliest are chosen
  double* scratch;      // (2, padded(vocab))
  float* shaped;        // (rows, stride): (logit - largest) / temperature, -inf for symbols that are left out
  double* total;        // (rows): the sum of exp(shaped)
  const uint32_t* row;  // (count): the row that each is written to
  const double* wide_logits = nullptr;  // as in Softmax
};

// Makes rows of thresholds from cumulative probabilities, whose last is 1 exactly.
struct Cumulative {
  const double* cumulative;  // (count, vocab)
  int64_t count;
  int64_t vocab;
  Rows rows;
  int64_t first_row;  // the rows are written to first_row and on
};

// values[i] = log(values[i]); `of_zero` for 0.
struct Logarithms {
  float* values;  // (count), at least 0
  int64_t count;  // a multiple of 16
  float of_zero;
};

// output[i] = sum over j < parts of weight[j] * part[j][i].
struct WeightedSum {
  const float* const* part;  // (parts), of (count) each
  const float* weight;       // (parts)
  int64_t parts;
  int64_t count;  // a multiple of 16
  float* output;  // (count)
};

struct SamplingKernels {
  const char* isa;
  void (*philox_words)(const PhiloxWords&);
  int64_t (*table_turn)(const TableTurn&);  // returns the number of names that go on
  void (*draw_from_rows)(const RowDraws&);
  void (*cumulative_to_rows)(const Cumulative&);
  void (*gathered_sum)(const GatheredSum&);
  // Packs a weight (columns, depth), as nn.Linear has it, for Product. `packed` has room for packed_size(depth,
  // columns) numbers.
  void (*pack_weight)(const float* weight, int64_t depth, int64_t columns, float* packed);
  void (*product)(const Product&);
  bool (*softmax)(const Softmax&);              // returns false where a logit is not finite
  bool (*probabilities)(const Probabilities&);  // the same
  bool (*log_totals)(const LogTotals&);         // the same
  void (*logarithms)(const Logarithms&);
  void (*weighted_sum)(const WeightedSum&);
};

// Pads features to whole cache lines, so that every instruction set reads whole vectors.
inline int64_t padded(int64_t features) { return (features + 15) / 16 * 16; }
inline int64_t packed_size(int64_t depth, int64_t columns) { return depth * padded(columns); }

// The functions of the instruction set in use, and of a named one; see kernels/cpu/instruction_sets.h.
const SamplingKernels& sampling_kernels();
const SamplingKernels& sampling_kernels_for(const std::string& isa);

}  // namespace namegen::sampling
