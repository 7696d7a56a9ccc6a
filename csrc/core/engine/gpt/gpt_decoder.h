// The GPT asked for the symbols that follow some prefixes. A position is computed once: its keys and values are kept in
// a row, and positions behind it attend to the rows of their path. Free of torch. Behind this interface stands one
// class per instruction set and type (cpu/cpu_gpt_decoder.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/gpt/gpt_engine.h"

namespace namegen::engine {

// Some positions to compute, and those whose logits are wanted.
struct GptPositions {
  int64_t count;
  const int32_t* symbol;      // (count)
  const int32_t* depth;       // (count): the place in the sequence, from 0 on
  const int64_t* path_begin;  // (count)
  // The rows of the positions before, and of the position itself, are path[path_begin[i] ... path_begin[i] + depth[i]].
  // Rows of positions that come in the same call hold nothing before it, and may come in any order.
  const int32_t* path;
  int64_t wanted_count;
  const int32_t* wanted;  // (wanted_count): numbers of positions
};

// One thread's rows and scratch memory.
class GptDecoding {
 public:
  virtual ~GptDecoding() = default;

  // Computes the keys and values of all positions, and the logits (wanted_count, logits_stride) of those that are
  // wanted, in the decoder's type. The logits stay until the next call. Behind the symbols they are 0.
  // What comes of a position depends on its path alone, to the bit.
  virtual const void* compute(const GptPositions& positions) = 0;
};

// The weights, which any number of threads share.
class GptDecoder {
 public:
  virtual ~GptDecoder() = default;

  // Takes a parameter, numbered as GptEngine's are, in torch's layout and the decoder's type.
  virtual int64_t parameter_count() const = 0;
  virtual ParameterShape parameter_shape(int64_t parameter) const = 0;
  virtual void take(int64_t parameter, const void* data) = 0;

  virtual int64_t row_bytes() const = 0;  // of a position's keys and values
  virtual int64_t logits_stride() const = 0;

  // Makes `rows` rows, for calls of at most so many positions. The decoder must live as long as the result, which the
  // caller deletes.
  virtual GptDecoding* start(int64_t rows, int64_t most_positions, int64_t most_wanted) const = 0;
};

// For float32 or float64, with the instruction set in use or a named one (see kernels/cpu/instruction_sets.h). Throws
// std::runtime_error where that cannot be had.
std::unique_ptr<GptDecoder> make_gpt_decoder(const GptNetwork& network, DType dtype);
std::unique_ptr<GptDecoder> make_gpt_decoder(const GptNetwork& network, DType dtype, const std::string& isa);

}  // namespace namegen::engine
