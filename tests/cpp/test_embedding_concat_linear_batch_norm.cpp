// embedding_concat_linear_batch_norm against plain loops in double precision. Every instruction set, training and
// evaluation, few and many examples (walked over, or counted by pairs), odd and size-one shapes. The bits must be the
// same for one and two threads.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;
using Shape = cpu::EmbeddingConcatLinearShape;

namespace {

constexpr double kMomentum = 0.1, kEps = 1e-5;

struct Options {
  bool training, tanh, affine, bias;
};

template <class T>
struct Problem {
  Shape shape;
  Options options;
  std::vector<int32_t> tokens;
  std::vector<T> embedding, linear, linear_bias, weight, bias, running_mean, running_var, grad_output;
};

template <class T>
Problem<T> make_problem(const Shape& s, const Options& options) {
  std::mt19937 generator(11);
  Problem<T> p{s, options, std::vector<int32_t>(s.batch * s.block), {}, {}, {}, {}, {}, {}, {}, {}};
  // A few symbols are frequent, as in names.
  for (int32_t& token : p.tokens) {
    const auto any = static_cast<int32_t>(generator() % s.vocab);
    token = generator() % 3 == 0 ? any : any % static_cast<int32_t>(1 + s.vocab / 4);
  }
  p.embedding = random_values<T>(s.vocab * s.embed, generator);
  p.linear = random_values<T>(s.hidden * s.block * s.embed, generator);
  p.linear_bias = random_values<T>(s.hidden, generator);
  p.weight = random_values<T>(s.hidden, generator);
  p.bias = random_values<T>(s.hidden, generator);
  p.running_mean = random_values<T>(s.hidden, generator);
  p.running_var = random_values<T>(s.hidden, generator);
  for (T& value : p.running_var) value = value * value + T(0.1);
  p.grad_output = random_values<T>(s.batch * s.hidden, generator);
  return p;
}

template <class T>
struct Results {
  std::vector<T> output, mean, invstd, running_mean, running_var;
  std::vector<T> grad_embedding, grad_linear, grad_linear_bias, grad_weight, grad_bias;

  std::vector<const std::vector<T>*> all() const {
    return {&output,         &mean,        &invstd,           &running_mean, &running_var,
            &grad_embedding, &grad_linear, &grad_linear_bias, &grad_weight,  &grad_bias};
  }
};

template <class T>
Results<T> sized(const Shape& s) {
  const auto h = static_cast<size_t>(s.hidden);
  return {std::vector<T>(s.batch * s.hidden),
          std::vector<T>(h),
          std::vector<T>(h),
          std::vector<T>(h),
          std::vector<T>(h),
          std::vector<T>(s.vocab * s.embed),
          std::vector<T>(s.hidden * s.block * s.embed),
          std::vector<T>(h),
          std::vector<T>(h),
          std::vector<T>(h)};
}

template <class T>
Results<T> run(const cpu::Kernels& kernels, const Problem<T>& p, int threads) {
  const Shape& s = p.shape;
  Results<T> r = sized<T>(s);
  r.running_mean = p.running_mean;
  r.running_var = p.running_var;
  if (!p.options.training) {
    for (int64_t h = 0; h < s.hidden; ++h) {
      r.mean[h] = p.running_mean[h];
      r.invstd[h] = T(1) / std::sqrt(p.running_var[h] + T(kEps));
    }
  }
  const Activation activation = p.options.tanh ? Activation::kTanh : Activation::kNone;
  const T* linear_bias = p.options.bias ? p.linear_bias.data() : nullptr;
  const T* weight = p.options.affine ? p.weight.data() : nullptr;
  const T* bias = p.options.affine ? p.bias.data() : nullptr;
  const int index = static_cast<int>(dtype_of<T>());
  TestContext forward_context(threads), backward_context(threads);
  kernels.embedding_concat_linear_batch_norm_forward[index](
      {s, p.tokens.data(), p.embedding.data(), p.linear.data(), linear_bias, r.output.data(), weight, bias,
       r.mean.data(), r.invstd.data(), r.running_mean.data(), r.running_var.data(), p.options.training, kMomentum, kEps,
       activation},
      forward_context);
  kernels.embedding_concat_linear_batch_norm_backward[index](
      {s, p.tokens.data(), p.embedding.data(), p.linear.data(), linear_bias, r.output.data(), p.grad_output.data(),
       weight, r.mean.data(), r.invstd.data(), r.grad_embedding.data(), r.grad_linear.data(), r.grad_linear_bias.data(),
       r.grad_weight.data(), r.grad_bias.data(), p.options.training, activation},
      backward_context);
  return r;
}

// The same in double precision, and a bound on the error of each value. u = epsilon / 2 is the error of one rounding; a
// sum of n terms in any order is off by at most n * u * the sum of their sizes (Higham 2002, 4.2).
template <class T>
struct Reference {
  Results<double> value, bound;
};

template <class T>
Reference<T> reference(const Problem<T>& p, const std::vector<T>& output) {
  const Shape& s = p.shape;
  const int64_t k_count = s.block * s.embed, batch = s.batch;
  const double u = epsilon<T>() / 2, n_count = double(batch);
  Reference<T> r{sized<double>(s), sized<double>(s)};
  std::vector<double> z(batch), z_error(batch), size(batch);
  for (int64_t h = 0; h < s.hidden; ++h) {
    double mean = 0, mean_size = 0;
    for (int64_t n = 0; n < batch; ++n) {
      z[n] = p.options.bias ? double(p.linear_bias[h]) : 0;
      size[n] = std::fabs(z[n]);
      for (int64_t k = 0; k < k_count; ++k) {
        const int64_t c = p.tokens[n * s.block + k / s.embed] * s.embed + k % s.embed;
        const double term = double(p.embedding[c]) * p.linear[h * k_count + k];
        z[n] += term, size[n] += std::fabs(term);
      }
      mean += z[n] / n_count, mean_size += size[n] / n_count;
    }
    // A row's entry is a sum of E products; it is centred, scaled, and added to T - 1 others.
    double variance = 0, variance_error = 0, mean_error = 0;
    for (int64_t n = 0; n < batch; ++n) {
      z_error[n] = double(k_count + 4 + s.block) * u * (size[n] + mean_size);
      const double centred = z[n] - mean;
      variance += centred * centred / n_count;
      variance_error += (2 * std::fabs(centred) + z_error[n]) * z_error[n] / n_count;
      mean_error += z_error[n] / n_count;
    }
    variance_error += (64 + 8) * u * variance;  // 64 squares are summed at a time
    double used_mean = mean, used_variance = variance;
    if (!p.options.training) {
      used_mean = p.running_mean[h], used_variance = p.running_var[h];
      for (double& error : z_error) error += 2 * u * std::fabs(used_mean);
      variance_error = 4 * u * used_variance;
    }
    const double invstd = 1 / std::sqrt(used_variance + kEps);
    const double inv_error = invstd * (variance_error * invstd * invstd / 2 + 4 * u);
    const double gamma = p.options.affine ? double(p.weight[h]) : 1, beta = p.options.affine ? double(p.bias[h]) : 0;
    r.value.mean[h] = used_mean, r.bound.mean[h] = mean_error + 2 * u * std::fabs(mean);
    r.value.invstd[h] = invstd, r.bound.invstd[h] = inv_error;
    const bool moves = p.options.training;
    const double unbiased = variance * n_count / (n_count - 1);
    r.value.running_mean[h] = moves ? p.running_mean[h] * (1 - kMomentum) + mean * kMomentum : p.running_mean[h];
    r.value.running_var[h] = moves ? p.running_var[h] * (1 - kMomentum) + unbiased * kMomentum : p.running_var[h];
    r.bound.running_mean[h] = mean_error + 8 * u * (std::fabs(p.running_mean[h]) + std::fabs(mean));
    r.bound.running_var[h] = variance_error * 2 + 8 * u * (p.running_var[h] + unbiased);

    // Of each example: d, and the sizes of what the sums are made of.
    double d_sum = 0, d_size = 0, dx_sum = 0, dx_error = 0;
    std::vector<double> d(batch), xhat(batch), x_error(batch), x_size(batch);
    for (int64_t n = 0; n < batch; ++n) {
      const double y_exact = (z[n] - used_mean) * invstd;
      xhat[n] = y_exact;
      x_size[n] = (size[n] + mean_size + std::fabs(used_mean)) * invstd;
      x_error[n] = z_error[n] * invstd + std::fabs(y_exact) * inv_error / invstd + 4 * u * x_size[n];
      const double y = y_exact * gamma + beta;
      const int64_t at = n * s.hidden + h;
      r.value.output[at] = p.options.tanh ? std::tanh(y) : y;
      r.bound.output[at] = std::fabs(gamma) * (x_error[n] + double(s.block + 4) * u * x_size[n]) +
                           double(s.block + 4) * u * std::fabs(beta) + (p.options.tanh ? 8 * u : 0);
      const double got = output[at];  // the gradient is the one at the output that the kernel gave
      d[n] = p.grad_output[at] * (p.options.tanh ? 1 - got * got : 1);
      const double d_rounded = std::fabs(p.grad_output[at]);  // 1 - y^2 is rounded by an epsilon of 1
      d_sum += d[n], d_size += d_rounded;
      dx_sum += d[n] * xhat[n];
      dx_error += d_rounded * (x_error[n] + (n_count + 4) * u * x_size[n]);
    }
    const double d_error = (n_count + 4) * u * d_size;
    r.value.grad_bias[h] = d_sum, r.bound.grad_bias[h] = d_error;
    r.value.grad_weight[h] = dx_sum, r.bound.grad_weight[h] = dx_error + 2 * u * std::fabs(dx_sum);
    const double g = gamma * invstd, g_relative = inv_error / invstd + 2 * u;
    for (int64_t n = 0; n < batch; ++n) {
      const double share = p.options.training ? 1 / n_count : 0;
      const double dz = g * (d[n] - d_sum * share - xhat[n] * dx_sum * share);
      const double dz_size = std::fabs(g) * (std::fabs(p.grad_output[n * s.hidden + h]) + std::fabs(d_sum) * share +
                                             x_size[n] * std::fabs(dx_sum) * share);
      const double dz_error = std::fabs(g) * share * (d_error + x_size[n] * dx_error + x_error[n] * std::fabs(dx_sum)) +
                              dz_size * (g_relative + (n_count + 8) * u);
      r.value.grad_linear_bias[h] += dz;
      r.bound.grad_linear_bias[h] += dz_error + n_count * u * dz_size;
      for (int64_t k = 0; k < k_count; ++k) {
        const int64_t c = p.tokens[n * s.block + k / s.embed] * s.embed + k % s.embed;
        const int64_t w = h * k_count + k;
        const double terms = n_count * double(s.block) + double(s.hidden);
        r.value.grad_linear[w] += dz * p.embedding[c];
        r.bound.grad_linear[w] += (dz_error + terms * u * dz_size) * std::fabs(p.embedding[c]);
        r.value.grad_embedding[c] += dz * p.linear[w];
        r.bound.grad_embedding[c] += (dz_error + terms * u * dz_size) * std::fabs(p.linear[w]);
      }
    }
  }
  return r;
}

template <class T>
void compare(const std::vector<T>& got, const std::vector<double>& value, const std::vector<double>& bound,
             const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    check(std::fabs(got[i] - value[i]) <= bound[i],
          what + ": element " + std::to_string(i) + " is " + std::to_string(got[i]) + ", expected " +
              std::to_string(value[i]) + " within " + std::to_string(bound[i]));
  }
}

template <class T>
void test_kernels(const cpu::Kernels& kernels, const Shape& s, const Options& options) {
  const Problem<T> p = make_problem<T>(s, options);
  const Results<T> got = run(kernels, p, 1), again = run(kernels, p, 2);
  const Reference<T> expected = reference(p, got.output);
  const char* const names[] = {"output",         "mean",        "invstd",           "running_mean", "running_var",
                               "grad_embedding", "grad_linear", "grad_linear_bias", "grad_weight",  "grad_bias"};
  const std::string what = std::string(kernels.isa) + (sizeof(T) == 8 ? " float64 (" : " float32 (") +
                           std::to_string(s.batch) + "," + std::to_string(s.block) + "," + std::to_string(s.vocab) +
                           "," + std::to_string(s.embed) + "," + std::to_string(s.hidden) +
                           (options.training ? ") training " : ") evaluation ");
  for (size_t i = 0; i < std::size(names); ++i) {
    const std::vector<T>&one = *got.all()[i], &two = *again.all()[i];
    compare(one, *expected.value.all()[i], *expected.bound.all()[i], what + names[i]);
    check(std::memcmp(one.data(), two.data(), one.size() * sizeof(T)) == 0, what + names[i] + ": on two threads");
  }
}

// Two positions that always hold the same symbol and whose weights cancel: z is 0, though the rows are not. The pairs
// must not leave a variance that is large, or below 0.
void test_cancelling_positions(const cpu::Kernels& kernels) {
  const Shape s{4096, 2, 9, 3, 20};
  Problem<float> p = make_problem<float>(s, {true, false, true, true});
  for (int64_t n = 0; n < s.batch; ++n) p.tokens[2 * n + 1] = p.tokens[2 * n];
  for (int64_t h = 0; h < s.hidden; ++h) {
    for (int64_t e = 0; e < s.embed; ++e) p.linear[(2 * h + 1) * s.embed + e] = -p.linear[2 * h * s.embed + e];
  }
  const Results<float> got = run(kernels, p, 1);
  for (int64_t h = 0; h < s.hidden; ++h) {
    const double expected = 1 / std::sqrt(kEps);
    check(std::fabs(got.invstd[h] - expected) <= 1e-4 * expected,
          std::string(kernels.isa) + " invstd of cancelling positions: " + std::to_string(got.invstd[h]));
  }
}

}  // namespace

int main() {
  // (batch, block, vocab, embed, hidden): few examples, then so many that pairs of symbols are counted.
  const std::vector<Shape> shapes = {
      {32, 3, 27, 10, 200}, {2, 1, 1, 1, 1},      {7, 4, 5, 2, 3},    {65, 1, 2, 70, 129},
      {40, 5, 11, 33, 9},   {700, 3, 27, 10, 40}, {600, 2, 5, 3, 17}, {1500, 8, 6, 4, 33},
  };
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    int count = 0;
    for (const Shape& shape : shapes) {
      for (const bool training : {true, false}) {
        ++count;
        test_kernels<float>(kernels, shape, {training, count % 4 < 2, count % 3 != 0, count % 5 != 0});
        test_kernels<double>(kernels, shape, {training, count % 4 >= 2, count % 3 != 1, count % 5 != 1});
      }
    }
    test_cancelling_positions(kernels);
  }
  return result("embedding_concat_linear_batch_norm");
}
