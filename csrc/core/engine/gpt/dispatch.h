// The GPT's engine of the instruction set in use.
#pragma once

#include <memory>
#include <string>

#include "engine/gpt/gpt_engine.h"
#include "kernels/types.h"

namespace namegen::engine {

// For float32 or float64, with the instruction set that the kernels use (kernels/cpu/dispatch.h) or a named one.
// Throws std::runtime_error where that cannot be had.
std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype);
std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype,
                                           const std::string& isa);

}  // namespace namegen::engine
