// bfloat16 and float16 as the kernels read and write them. A batch norm that does nothing must give every value back.
// One that scales must round to the nearest, ties to even.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

float value_of(uint16_t bits, DType type) {
  if (type == DType::kBFloat16) {
    const uint32_t wide = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const float size = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(float(mantissa), -24)
                                     : std::ldexp(float(mantissa + 1024), exponent - 25);
  return std::copysign(size, bits & 0x8000 ? -1.f : 1.f);
}

// y = x * scale, by a batch norm in evaluation with one channel.
std::vector<uint16_t> scaled(const cpu::Kernels& kernels, const std::vector<uint16_t>& x, float scale, DType type) {
  std::vector<uint16_t> y(x.size());
  float mean = 0, invstd = 1;
  const cpu::BatchNormForward params{static_cast<int64_t>(x.size()),
                                     1,
                                     1,
                                     x.data(),
                                     y.data(),
                                     &scale,
                                     nullptr,
                                     &mean,
                                     &invstd,
                                     nullptr,
                                     nullptr,
                                     false,
                                     0,
                                     0,
                                     Activation::kNone};
  TestContext context;
  kernels.batch_norm_forward[static_cast<int>(type)](params, context);
  return y;
}

bool is_nan(uint16_t bits, DType type) { return std::isnan(value_of(bits, type)); }

void test_kernels(const cpu::Kernels& kernels, DType type) {
  const std::string where = std::string(kernels.isa) + (type == DType::kBFloat16 ? " bfloat16" : " float16");
  std::vector<uint16_t> every(1 << 16);
  for (size_t i = 0; i < every.size(); ++i) every[i] = static_cast<uint16_t>(i);
  const auto same = scaled(kernels, every, 1.f, type);
  for (size_t i = 0; i < every.size(); ++i) {
    const bool nan = is_nan(every[i], type);
    check(nan ? is_nan(same[i], type) : same[i] == every[i] || (every[i] & 0x7fff) == 0,
          where + ": a value comes back");
  }

  for (const float scale : {0.7f, 1.f / 3, 1.0009765625f, 1.00390625f, 0.0001f, 3.f}) {
    const auto result_bits = scaled(kernels, every, scale, type);
    for (size_t i = 0; i < every.size(); ++i) {
      if (is_nan(every[i], type)) continue;
      const float wide = value_of(every[i], type) * scale;
      const uint16_t got = result_bits[i];
      check(!is_nan(got, type), where + ": a number stays a number");
      if (is_nan(got, type)) continue;
      // The neighbours of the result must be no nearer, and a tie must not go to an odd one.
      const double error = std::fabs(double(value_of(got, type)) - wide);
      for (const int step : {-1, 1}) {
        const auto other = static_cast<uint16_t>(got + step);
        if (((got ^ other) & 0x8000) != 0 || is_nan(other, type) || std::isinf(value_of(other, type))) continue;
        const double other_error = std::fabs(double(value_of(other, type)) - wide);
        if (!std::isfinite(error)) continue;  // infinite, as it should be, or beyond the largest number
        check(error < other_error || (error == other_error && got % 2 == 0), where + ": rounded to nearest even");
      }
    }
  }
}

}  // namespace

int main() {
  for (const std::string& isa : cpu::supported_isas()) {
    test_kernels(cpu::kernels_for(isa), DType::kBFloat16);
    test_kernels(cpu::kernels_for(isa), DType::kFloat16);
  }
  return result("conversions");
}
