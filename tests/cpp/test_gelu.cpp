// The error of GELU and its derivative against long double's erfc, in units in the last place of the exact result.
//
// The bound, in roundings of half a unit each, without fused multiply-add: each polynomial of degree n has at most two
// for a step and one for its first coefficient, which no cancellation enlarges, as every term is positive: 9 + 11 for
// float32 (degrees 4 and 5), 21 + 23 for float64 (10 and 11). The quotient, the two products and exp's two make 5. So
// 25 and 49 roundings: 12.5 and 24.5 units just above a power of two. At x > 0 the product is at most half the result.
// Measured: 7.1 and 8.9 units. The derivative passes through zero near x = -0.7518 and has no relative bound there: it
// is measured against exp(-t^2 / 2) / 4 where that is larger, which the roundings of its two terms are relative to.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

long double tail(long double t) { return std::erfc(t / std::sqrt(2.0L)) / 2; }
long double exact_gelu(long double x) { return x > 0 ? x - x * tail(x) : x * tail(-x); }
long double exact_slope(long double x) {
  const long double density = std::exp(-x * x / 2) * 0.398942280401432677939946059934L;
  return (x > 0 ? 1 - tail(x) : tail(-x)) + x * density;
}

template <class T>
double unit(long double exact) {
  const T size = std::max(static_cast<T>(std::fabs(exact)), std::numeric_limits<T>::min());
  return double(std::nextafter(size, std::numeric_limits<T>::infinity()) - size);
}

template <class T>
void compare(const cpu::Kernels& kernels, const std::vector<T>& x, T least, double bound) {
  std::vector<T> values(x.size()), slopes(x.size());
  kernels.gelu[static_cast<int>(dtype_of<T>())](static_cast<int64_t>(x.size()), x.data(), values.data(), slopes.data());
  double worst = 0, worst_slope = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] < least) {
      check(std::fabs(values[i]) <= std::numeric_limits<T>::min() && std::signbit(values[i]),
            "-0 beyond the tail, at " + std::to_string(x[i]) + ": " + std::to_string(1e300 * values[i]));
      continue;
    }
    worst = std::max(worst, double(std::fabs(values[i] - exact_gelu(x[i]))) / unit<T>(exact_gelu(x[i])));
    const long double scale =
        std::max(std::fabs(exact_slope(x[i])), std::exp(-static_cast<long double>(x[i]) * x[i] / 2) / 4);
    worst_slope = std::max(worst_slope, double(std::fabs(slopes[i] - exact_slope(x[i]))) / unit<T>(scale));
  }
  std::printf("%-9s %s: gelu %.3f ulp, derivative %.3f\n", kernels.isa, sizeof(T) == 4 ? "float32" : "float64", worst,
              worst_slope);
  check(worst <= bound, "gelu within its bound");
  check(worst_slope <= bound, "its derivative within its bound");
}

template <class T>
std::vector<T> spread(T least, int per_binade) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> mantissa(1, 2);
  std::vector<T> x;
  for (int exponent = -30; exponent <= 6; ++exponent) {
    for (int i = 0; i < per_binade; ++i) {
      x.push_back(static_cast<T>(std::ldexp(mantissa(generator), exponent)) * (i % 2 ? 1 : -1));
    }
  }
  for (int i = 0; i < 20 * per_binade; ++i) x.push_back(static_cast<T>(least * (mantissa(generator) - 1)));  // the tail
  return x;
}

template <class T>
void test_special(const cpu::Kernels& kernels) {
  const T infinity = std::numeric_limits<T>::infinity();
  const std::vector<T> x = {0, -T(0), infinity, -infinity, std::numeric_limits<T>::quiet_NaN(), 1000, -1000};
  std::vector<T> y(x.size()), slope(x.size());
  kernels.gelu[static_cast<int>(dtype_of<T>())](static_cast<int64_t>(x.size()), x.data(), y.data(), slope.data());
  check(y[0] == 0 && y[1] == 0 && slope[0] == T(0.5), "zero");
  check(y[2] == infinity && slope[2] == 1, "infinity");
  check(y[3] == 0 && slope[3] == 0, "-infinity");
  check(std::isnan(y[4]) && std::isnan(slope[4]), "NaN stays NaN");
  check(y[5] == 1000 && slope[5] == 1 && y[6] == 0 && slope[6] == 0, "far from zero");
}

}  // namespace

int main() {
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    compare<float>(kernels, spread<float>(-13.19f, 4000), -13.19f, 12.5);
    compare<double>(kernels, spread<double>(-37.62, 4000), -37.62, 24.5);
    test_special<float>(kernels);
    test_special<double>(kernels);
  }
  return result("gelu");
}
