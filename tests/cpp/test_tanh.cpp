// The error of tanh in units in the last place. float32 is compared with the library's tanh in double precision,
// float64 with that of long double.
//
// The bound for float32 is 2.6. The quotient rounds by half an ulp. e and e + 2 round by half an ulp of their own,
// which is up to one ulp of a result just below a power of two. The correction inside e, r^2 times a polynomial, is at
// most 6% of e where that happens without a scaling by 2^k, so its roundings add less than 0.1. Measured: 2.475 with
// fused multiply-add, 2.511 without (all 2^32 values). --all tries every value, else every 1,021st is tried.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// The distance to the next number away from zero or, below 1, to the last number below 1.
template <class T>
double unit_in_last_place(T exact) {
  const T size = std::fabs(exact);
  return size >= T(1) ? epsilon<T>() / 2 : double(std::nextafter(size, T(2)) - size);
}

void test_float32(const cpu::Kernels& kernels, uint64_t step) {
  constexpr size_t kCount = 1 << 16;
  std::vector<float> x(kCount), y(kCount);
  double worst = 0;
  for (uint64_t first = 0; first < (uint64_t{1} << 32); first += kCount * step) {
    for (size_t i = 0; i < kCount; ++i) x[i] = float_of(static_cast<uint32_t>(first + i * step));
    kernels.tanh[static_cast<int>(DType::kFloat32)](kCount, x.data(), y.data());
    for (size_t i = 0; i < kCount; ++i) {
      if (std::isnan(x[i])) {
        check(std::isnan(y[i]), "NaN stays NaN");
        continue;
      }
      check(std::fabs(y[i]) <= 1, "never beyond 1");
      check(std::signbit(x[i]) == std::signbit(y[i]), "the sign is kept");
      const double exact = std::tanh(double(x[i]));
      worst = std::max(worst, std::fabs(y[i] - exact) / unit_in_last_place(static_cast<float>(exact)));
    }
  }
  std::printf("%-9s float32: %.3f ulp\n", kernels.isa, worst);
  check(worst <= 2.6, "float32 within 2.6 ulp");
}

void test_float64(const cpu::Kernels& kernels) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> mantissa(1, 2);
  std::vector<double> x = {0.0, -0.0, 1e-310, -1e-310, 5e-324, INFINITY, -INFINITY, 20.0, 19.06, 400.0, 1e300};
  for (int exponent = -60; exponent <= 6; ++exponent) {
    for (int i = 0; i < 2000; ++i) x.push_back(std::ldexp(mantissa(generator), exponent) * (i % 2 ? 1 : -1));
  }
  std::vector<double> y(x.size());
  kernels.tanh[static_cast<int>(DType::kFloat64)](static_cast<int64_t>(x.size()), x.data(), y.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact = std::tanh(static_cast<long double>(x[i]));
    check(std::signbit(x[i]) == std::signbit(y[i]), "the sign is kept");
    check(std::fabs(y[i]) <= 1, "never beyond 1");
    worst = std::max(worst, double(std::fabs(y[i] - exact)) / unit_in_last_place(static_cast<double>(exact)));
  }
  std::printf("%-9s float64: %.3f ulp\n", kernels.isa, worst);
  check(worst <= 3, "float64 within 3 ulp");
}

}  // namespace

int main(int count, char** arguments) {
  const bool all = count > 1 && std::string(arguments[1]) == "--all";
  for (const std::string& isa : cpu::supported_isas()) {
    test_float32(cpu::kernels_for(isa), all ? 1 : 1021);
    test_float64(cpu::kernels_for(isa));
  }
  return result("tanh");
}
