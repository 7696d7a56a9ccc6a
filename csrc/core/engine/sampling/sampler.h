// What draws names: the interface, and what its implementations share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

// Called every few milliseconds at most while names are drawn; throws to have it end.
using Poll = std::function<void()>;

// What names are written with, and where they start and end.
struct Spelling {
  std::vector<std::string> encodings;  // (vocab) UTF-8 of each symbol; that of symbol 0, the end marker, is not used
  std::vector<int32_t> prefix;         // symbols that stand at the start of each name
  int64_t max_steps;                   // a name is cut after so many symbols behind the prefix; 1 at least

  int64_t vocab() const { return static_cast<int64_t>(encodings.size()); }
};

// Throws std::invalid_argument, naming the field, for a spelling that cannot be.
void check_spelling(const Spelling& spelling);

class Sampler {
 public:
  virtual ~Sampler() = default;

  // Another sampler of the same names, with scratch memory of its own: for another thread.
  virtual std::unique_ptr<Sampler> copy() const = 0;

  // Appends names number first to first + count - 1 of the seed's stream, each as UTF-8 and a newline. A name depends
  // on the seed and its number alone.
  virtual void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) = 0;
};

}  // namespace namegen::sampling
