#include "engine/gpt/gpt_decoder.h"

#include "kernels/cpu/instruction_sets.h"

namespace namegen::cpu {

#define NAMEGEN_INSTRUCTION_SET(name, features)                           \
  namespace name {                                                        \
  engine::GptDecoder* make_gpt_decoder(const engine::GptNetwork&, DType); \
  }
#include "kernels/cpu/instruction_sets.inc"

}  // namespace namegen::cpu

namespace namegen::engine {
namespace {

using DecoderFactory = GptDecoder* (*)(const GptNetwork&, DType);
const DecoderFactory kDecoderFactoriesOfIsas[] = {
#define NAMEGEN_INSTRUCTION_SET(name, features) cpu::name::make_gpt_decoder,
#include "kernels/cpu/instruction_sets.inc"
};

}  // namespace

std::unique_ptr<GptDecoder> make_gpt_decoder(const GptNetwork& network, DType dtype, const std::string& isa) {
  return std::unique_ptr<GptDecoder>(kDecoderFactoriesOfIsas[cpu::isa_number(isa)](network, dtype));
}

std::unique_ptr<GptDecoder> make_gpt_decoder(const GptNetwork& network, DType dtype) {
  return std::unique_ptr<GptDecoder>(kDecoderFactoriesOfIsas[cpu::isa_in_use()](network, dtype));
}

}  // namespace namegen::engine
