// The interface of what draws names, and what its implementations share.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

// Called while names are drawn, at least every few milliseconds. It throws to end the drawing.
using Poll = std::function<void()>;

// How names are written, and where they start and end.
struct Spelling {
  std::vector<std::string> encodings;  // (vocab): the UTF-8 of each symbol; symbol 0, the end marker, needs none
  std::vector<int32_t> prefix;         // the symbols at the start of each name
  int64_t max_steps;                   // a name is cut after so many symbols behind the prefix; at least 1

  int64_t vocab() const { return static_cast<int64_t>(encodings.size()); }
};

// Throws std::invalid_argument, which names the field, where the spelling is not valid.
void check_spelling(const Spelling& spelling);

// Thrown where a name was rejected as often as allowed.
class TooFewAccepted : public std::exception {
 public:
  TooFewAccepted(int64_t most_tries, int64_t accepted, int64_t tries)
      : most_tries_(most_tries), accepted_(accepted), tries_(tries) {}
  const char* what() const noexcept override { return "too few names are accepted"; }
  int64_t most_tries() const { return most_tries_; }  // for one name
  // The names that were accepted, and all tries, of the sampler that threw it and since it was made.
  int64_t accepted() const { return accepted_; }
  int64_t tries() const { return tries_; }

 private:
  int64_t most_tries_, accepted_, tries_;
};

class Sampler {
 public:
  virtual ~Sampler() = default;

  // Another sampler of the same names, with scratch memory of its own. Each thread needs one.
  virtual std::unique_ptr<Sampler> copy() const = 0;

  // Appends names number first to first + count - 1 of the seed's stream, each as UTF-8 and a newline. A name depends
  // on the seed and its number alone. Where it throws TooFewAccepted, the names before the one not found are appended.
  virtual void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) = 0;
};

}  // namespace namegen::sampling
