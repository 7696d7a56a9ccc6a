// linear against plain loops in float64. Every instruction set and width of panel, tiles with rows left over, sums of
// dW in pieces, matrices without rows or columns. The bits must be the same on one thread and on two.
#include <cmath>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_kernels.h"
#include "support.h"

namespace {

using namespace namegen;
using namespace namegen::test;

struct Size {
  int64_t rows, in, out;
  bool bias;
};

template <class T>
struct Data {
  std::vector<T> x, w, b, dy;
};

template <class T>
struct Results {
  std::vector<T> y, dx, dw, db;
  bool operator==(const Results& other) const {
    return y == other.y && dx == other.dx && dw == other.dw && db == other.db;
  }
};

template <class T>
Results<T> run(const cpu::Kernels& kernels, const Size& s, const Data<T>& d, int threads) {
  const T unwritten = std::numeric_limits<T>::quiet_NaN();
  const auto filled = [&](int64_t count) { return std::vector<T>(static_cast<size_t>(count), unwritten); };
  Results<T> r{filled(s.rows * s.out), filled(s.rows * s.in), filled(s.out * s.in), filled(s.out)};
  const int type = static_cast<int>(dtype_of<T>());
  TestContext context(threads);
  kernels.linear_forward[type]({s.rows, s.in, s.out, d.x.data(), d.w.data(), s.bias ? d.b.data() : nullptr, r.y.data()},
                               context);
  kernels.linear_backward[type](
      {s.rows, s.in, s.out, d.x.data(), d.w.data(), d.dy.data(), r.dx.data(), r.dw.data(), r.db.data()}, context);
  return r;
}

// Checks found[i, j] against `start(j)` plus the sum over k of a(i, k) * b(k, j). Each must be within what the rounding
// of `terms` additions can make of it (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1).
template <class T, class A, class B, class Start>
void check_product(const std::string& what, const std::vector<T>& found, int64_t rows, int64_t columns, int64_t terms,
                   const A& a, const B& b, const Start& start) {
  bool right = true;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = start(j), size = std::abs(sum);
      for (int64_t k = 0; k < terms; ++k) {
        sum += a(i, k) * b(k, j);
        size += std::abs(a(i, k) * b(k, j));
      }
      right &= std::abs(double(found[static_cast<size_t>(i * columns + j)]) - sum) <=
               double(terms + 1) * epsilon<T>() * size;
    }
  }
  check(right, what);
}

template <class T>
void test_linear(const cpu::Kernels& kernels, const Size& s) {
  std::mt19937 generator(7);
  const auto random = [&](int64_t count) { return random_values<T>(static_cast<size_t>(count), generator); };
  const Data<T> d{random(s.rows * s.in), random(s.out * s.in), random(s.out), random(s.rows * s.out)};
  const Results<T> r = run(kernels, s, d, 1);
  const std::string what = std::string(kernels.isa) + " float" + std::to_string(8 * sizeof(T)) + " " +
                           std::to_string(s.rows) + " x " + std::to_string(s.in) + " to " + std::to_string(s.out);
  const auto x = [&](int64_t n, int64_t k) { return double(d.x[static_cast<size_t>(n * s.in + k)]); };
  const auto w = [&](int64_t h, int64_t k) { return double(d.w[static_cast<size_t>(h * s.in + k)]); };
  const auto dy = [&](int64_t n, int64_t h) { return double(d.dy[static_cast<size_t>(n * s.out + h)]); };
  const auto w_transposed = [&](int64_t k, int64_t h) { return w(h, k); };
  const auto dy_transposed = [&](int64_t h, int64_t n) { return dy(n, h); };
  const auto one = [](int64_t, int64_t) { return 1.0; };
  const auto zero = [](int64_t) { return 0.0; };
  const auto bias = [&](int64_t h) { return s.bias ? double(d.b[static_cast<size_t>(h)]) : 0.0; };
  check_product(what + ": y", r.y, s.rows, s.out, s.in, x, w_transposed, bias);
  check_product(what + ": dx", r.dx, s.rows, s.in, s.out, dy, w, zero);
  check_product(what + ": dW", r.dw, s.out, s.in, s.rows, dy_transposed, x, zero);
  check_product(what + ": db", r.db, s.out, 1, s.rows, dy_transposed, one, zero);
  check(r == run(kernels, s, d, 2), what + ": other bits on two threads");
}

}  // namespace

int main() {
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    for (const Size& size : std::vector<Size>{{32, 256, 128, true},
                                              {1, 1, 1, true},
                                              {2, 3, 5, false},
                                              {13, 17, 33, true},
                                              {65, 100, 27, false},
                                              {131, 40, 65, true},
                                              {49, 9, 200, true},
                                              {7, 0, 3, true},
                                              {0, 4, 3, true},
                                              {5, 4, 0, true}}) {
      test_linear<float>(kernels, size);
      test_linear<double>(kernels, size);
    }
  }
  return result("linear");
}
