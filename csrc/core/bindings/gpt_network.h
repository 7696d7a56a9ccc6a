// The sizes of a GPT as Python gives them.
#pragma once

#include "bindings/training.h"
#include "engine/gpt/gpt_engine.h"

namespace namegen::bindings {

inline constexpr std::pair<const char*, engine::GptNorms> kGptNorms[] = {{"layer", engine::GptNorms::kLayer},
                                                                         {"rms", engine::GptNorms::kRms}};
inline constexpr std::pair<const char*, engine::GptActivation> kGptActivations[] = {
    {"gelu", engine::GptActivation::kGelu},
    {"gelu-tanh", engine::GptActivation::kGeluTanh},
    {"relu", engine::GptActivation::kRelu}};

template <class Value, size_t N>
inline Value choice(const char* argument, const std::string& name, const std::pair<const char*, Value> (&choices)[N]) {
  std::string names;
  for (const auto& [known, value] : choices) {
    if (name == known) return value;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw nb::value_error((std::string(argument) + ": got " + name + ", expected one of " + names).c_str());
}

// Raises ValueError for sizes that cannot be.
inline void check_gpt_network(const engine::GptNetwork& network) {
  require_size("vocab", network.vocab);
  require_size("block", network.block);
  require_size("embed", network.embed);
  require_size("layers", network.layers);
  require_size("heads", network.heads);
  require_size("hidden", network.hidden);
  require(network.embed % network.heads == 0, "heads: got " + std::to_string(network.heads) +
                                                  ", expected a divisor of embed " + std::to_string(network.embed));
  const double width = double(network.embed), hidden = double(network.hidden);
  const double layer = width * (4 * width + 2 * hidden + 16) + hidden;
  require(
      width * (2 * double(network.vocab) + double(network.block)) + double(network.layers) * layer <= kMostParameters,
      "vocab, block, embed, layers and hidden: an engine holds at most 2^40 parameters");
}

}  // namespace namegen::bindings
