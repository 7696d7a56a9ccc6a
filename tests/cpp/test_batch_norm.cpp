// batch_norm against plain loops in long double. Every instruction set, training and evaluation, odd and size-one
// shapes, channels far from zero. The bits must be the same for one and two threads.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

template <class T>
struct Results {
  std::vector<T> output, mean, invstd, running_mean, running_var, grad_input, grad_weight, grad_bias;
};

template <class T>
struct Problem {
  int64_t rows, channels;
  bool training, affine, tanh;
  std::vector<T> x, dy, weight, bias, running_mean, running_var;
};

constexpr double kMomentum = 0.1, kEps = 1e-5;

template <class T>
Results<T> run(const cpu::Kernels& kernels, const Problem<T>& p, int threads) {
  const auto c = static_cast<size_t>(p.channels);
  Results<T> r{std::vector<T>(p.x.size()), std::vector<T>(c), std::vector<T>(c), p.running_mean, p.running_var,
               std::vector<T>(p.x.size()), std::vector<T>(c), std::vector<T>(c)};
  if (!p.training) {
    for (size_t i = 0; i < c; ++i)
      r.mean[i] = p.running_mean[i], r.invstd[i] = T(1) / std::sqrt(p.running_var[i] + T(kEps));
  }
  const Activation activation = p.tanh ? Activation::kTanh : Activation::kNone;
  const int index = static_cast<int>(dtype_of<T>());
  TestContext forward_context(threads), backward_context(threads);
  kernels.batch_norm_forward[index](
      {p.rows, p.channels, p.channels, p.x.data(), r.output.data(), p.affine ? p.weight.data() : nullptr,
       p.affine ? p.bias.data() : nullptr, r.mean.data(), r.invstd.data(), r.running_mean.data(), r.running_var.data(),
       p.training, kMomentum, kEps, activation},
      forward_context);
  kernels.batch_norm_backward[index](
      {p.rows, p.channels, p.channels, p.x.data(), r.output.data(), p.dy.data(), p.affine ? p.weight.data() : nullptr,
       r.mean.data(), r.invstd.data(), r.grad_input.data(), r.grad_weight.data(), r.grad_bias.data(), p.training,
       activation},
      backward_context);
  return r;
}

void near(double got, double expected, double bound, const std::string& what) {
  check(std::fabs(got - expected) <= bound, what + ": " + std::to_string(got) + ", expected " +
                                                std::to_string(expected) + " within " + std::to_string(bound));
}

template <class T>
void test_kernels(const cpu::Kernels& kernels, Problem<T> p) {
  std::mt19937 generator(3);
  const auto values = static_cast<size_t>(p.rows * p.channels), c_count = static_cast<size_t>(p.channels);
  p.x = random_values<T>(values, generator);
  p.dy = random_values<T>(values, generator);
  p.weight = random_values<T>(c_count, generator);
  p.bias = random_values<T>(c_count, generator);
  p.running_mean = random_values<T>(c_count, generator);
  p.running_var = random_values<T>(c_count, generator);
  for (T& v : p.running_var) v = v * v + T(0.1);
  for (size_t i = 0; i < values; ++i) p.x[i] += T(i % p.channels % 3 * 10);  // channels around 0, 10 and 20

  const Results<T> got = run(kernels, p, 1), again = run(kernels, p, 2);
  const std::string what = std::string(kernels.isa) + (sizeof(T) == 8 ? " float64 (" : " float32 (") +
                           std::to_string(p.rows) + "," + std::to_string(p.channels) + ")" +
                           (p.training ? " training" : " evaluation") + (p.tanh ? " tanh" : "");
  for (const auto member :
       {&Results<T>::output, &Results<T>::mean, &Results<T>::invstd, &Results<T>::running_mean,
        &Results<T>::running_var, &Results<T>::grad_input, &Results<T>::grad_weight, &Results<T>::grad_bias}) {
    check(std::memcmp((got.*member).data(), (again.*member).data(), (got.*member).size() * sizeof(T)) == 0,
          what + ": the same bits on two threads");
  }

  // Sums of up to 128 rows are formed by blocks, then merged. Each step rounds once, values are at most about 25 in
  // size, and a deviation from the mean loses an epsilon of the mean's size.
  const double eps = epsilon<T>();
  const double n = double(p.rows);
  for (int64_t c = 0; c < p.channels; ++c) {
    long double mean = 0, m2 = 0;
    for (int64_t i = 0; i < p.rows; ++i) mean += p.x[i * p.channels + c];
    mean /= p.rows;
    for (int64_t i = 0; i < p.rows; ++i) m2 += (p.x[i * p.channels + c] - mean) * (p.x[i * p.channels + c] - mean);
    if (p.training) {
      near(got.mean[c], mean, 64 * eps * 25, what + " mean");
      const double invstd = 1 / std::sqrt(double(m2) / n + kEps);
      near(got.invstd[c], invstd, 64 * eps * 25 * invstd * std::max(1.0, invstd), what + " invstd");
      near(got.running_mean[c], 0.9 * p.running_mean[c] + 0.1 * double(mean), 64 * eps * 25, what + " running_mean");
      const double unbiased = double(m2) / (n - 1);
      near(got.running_var[c], 0.9 * p.running_var[c] + 0.1 * unbiased, 256 * eps * (25 + unbiased),
           what + " running_var");
    } else {
      check(got.running_mean[c] == p.running_mean[c] && got.running_var[c] == p.running_var[c],
            what + ": evaluation leaves the running statistics alone");
    }
    // The gradients are those at the statistics and the output that the kernel gave.
    const double m = got.mean[c], s = got.invstd[c], w = p.affine ? double(p.weight[c]) : 1,
                 b = p.affine ? double(p.bias[c]) : 0;
    double dz_sum = 0, product_sum = 0, size = 0;
    for (int64_t i = 0; i < p.rows; ++i) {
      const int64_t at = i * p.channels + c;
      const double xhat = (p.x[at] - m) * s, z = xhat * w + b, y = got.output[at];
      near(y, p.tanh ? std::tanh(z) : z, 8 * eps * (1 + std::fabs(z) + 25 * s * std::fabs(w)), what + " output");
      const double dz = p.dy[at] * (p.tanh ? 1 - y * y : 1);
      dz_sum += dz;
      product_sum += dz * xhat;
      size += (1 + std::fabs(p.dy[at])) * (1 + std::fabs(xhat));
    }
    near(got.grad_bias[c], dz_sum, (n + 8) * eps * size, what + " grad_bias");
    near(got.grad_weight[c], product_sum, (n + 8) * eps * size * (1 + 25 * s), what + " grad_weight");
    for (int64_t i = 0; i < p.rows; ++i) {
      const int64_t at = i * p.channels + c;
      const double xhat = (p.x[at] - m) * s, y = got.output[at];
      const double dz = p.dy[at] * (p.tanh ? 1 - y * y : 1);
      const double dx = p.training ? w * s * (dz - dz_sum / n - xhat * product_sum / n) : w * s * dz;
      const double scale =
          std::fabs(w) * s * (4 + std::fabs(p.dy[at]) + (1 + std::fabs(xhat)) * size / n) * (1 + 25 * s);
      near(got.grad_input[at], dx, (64 + n / 8) * eps * scale, what + " grad_input");
    }
  }
}

}  // namespace

int main() {
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    int count = 0;
    for (const auto& [rows, channels] : std::vector<std::pair<int64_t, int64_t>>{
             {32, 200}, {2, 1}, {3, 65}, {127, 16}, {129, 7}, {1000, 33}, {5000, 20}}) {
      for (const bool training : {true, false}) {
        ++count;
        test_kernels<float>(kernels,
                            {rows, channels, training, count % 3 != 0, count % 2 == 0, {}, {}, {}, {}, {}, {}});
        test_kernels<double>(kernels,
                             {rows, channels, training, count % 2 == 0, count % 3 == 0, {}, {}, {}, {}, {}, {}});
      }
    }
    // These are read ahead, since they are larger than what stays in the caches.
    test_kernels<double>(kernels, {5203, 127, true, true, true, {}, {}, {}, {}, {}, {}});
  }
  return result("batch_norm");
}
