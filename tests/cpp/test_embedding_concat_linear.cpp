// embedding_concat_linear against plain loops in double precision. Every instruction set, both algorithms, odd and
// size-one shapes. The bits must be the same for one and two threads.
#include <cstring>

#include "support.h"

using namespace namegen;
using namespace namegen::test;
using cpu::Algorithm;
using Shape = cpu::EmbeddingConcatLinearShape;

namespace {

template <class T>
struct Problem {
  Shape shape;
  std::vector<int32_t> tokens;
  std::vector<T> embedding, weight, bias, grad_output;
};

template <class T>
Problem<T> make_problem(const Shape& s, unsigned seed) {
  std::mt19937 generator(seed);
  Problem<T> problem{s, std::vector<int32_t>(s.batch * s.block), {}, {}, {}, {}};
  for (int32_t& token : problem.tokens) token = static_cast<int32_t>(generator() % s.vocab);
  problem.embedding = random_values<T>(s.vocab * s.embed, generator);
  problem.weight = random_values<T>(s.hidden * s.block * s.embed, generator);
  for (T& w : problem.weight) w /= std::sqrt(T(s.block * s.embed));
  problem.bias = random_values<T>(s.hidden, generator);
  problem.grad_output = random_values<T>(s.batch * s.hidden, generator);
  return problem;
}

template <class T>
struct Results {
  std::vector<T> output, grad_embedding, grad_weight, grad_bias;
};

template <class T>
Results<T> run(const cpu::Kernels& kernels, const Problem<T>& p, Algorithm algorithm, bool tanh, bool bias,
               int threads) {
  const Shape& s = p.shape;
  Results<T> r{std::vector<T>(s.batch * s.hidden), std::vector<T>(s.vocab * s.embed),
               std::vector<T>(s.hidden * s.block * s.embed), std::vector<T>(s.hidden)};
  const Activation activation = tanh ? Activation::kTanh : Activation::kNone;
  const int index = static_cast<int>(dtype_of<T>());
  TestContext forward_context(threads), backward_context(threads);
  kernels.embedding_concat_linear_forward[index](
      {s, p.tokens.data(), p.embedding.data(), p.weight.data(), bias ? p.bias.data() : nullptr, r.output.data(),
       s.hidden, activation, algorithm},
      forward_context);
  kernels.embedding_concat_linear_backward[index](
      {s, p.tokens.data(), p.embedding.data(), p.weight.data(), r.output.data(), p.grad_output.data(), s.hidden,
       r.grad_embedding.data(), r.grad_weight.data(), bias ? r.grad_bias.data() : nullptr, activation, algorithm},
      backward_context);
  return r;
}

// The same in double precision. Beside each sum stands the sum of its terms' sizes, which bounds its rounding error.
struct Reference {
  Results<double> value, size;
};

template <class T>
Reference reference(const Problem<T>& p, const std::vector<T>& output, bool tanh, bool bias) {
  const Shape& s = p.shape;
  const int64_t k_count = s.block * s.embed;
  const Results<double> zero{std::vector<double>(s.batch * s.hidden), std::vector<double>(s.vocab * s.embed),
                             std::vector<double>(s.hidden * k_count), std::vector<double>(s.hidden)};
  Reference r{zero, zero};
  const auto add = [](double& sum, double& size, double term) { sum += term, size += std::fabs(term); };
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t h = 0; h < s.hidden; ++h) {
      double z = bias ? double(p.bias[h]) : 0, size = std::fabs(z);
      for (int64_t k = 0; k < k_count; ++k) {
        const int64_t c = p.tokens[n * s.block + k / s.embed] * s.embed + k % s.embed;
        add(z, size, double(p.embedding[c]) * p.weight[h * k_count + k]);
      }
      r.value.output[n * s.hidden + h] = tanh ? std::tanh(z) : z;
      r.size.output[n * s.hidden + h] = size + 1;
      // The gradient is the one at the output that the kernel gave.
      const double y = output[n * s.hidden + h];
      const double d = p.grad_output[n * s.hidden + h] * (tanh ? 1 - y * y : 1);
      add(r.value.grad_bias[h], r.size.grad_bias[h], d);
      for (int64_t k = 0; k < k_count; ++k) {
        const int64_t c = p.tokens[n * s.block + k / s.embed] * s.embed + k % s.embed;
        add(r.value.grad_weight[h * k_count + k], r.size.grad_weight[h * k_count + k], d * p.embedding[c]);
        add(r.value.grad_embedding[c], r.size.grad_embedding[c], d * p.weight[h * k_count + k]);
      }
    }
  }
  // d itself is rounded, by up to an epsilon of |dy|. That may be large beside d, where y is near 1.
  for (auto* sizes : {&r.size.grad_bias, &r.size.grad_weight, &r.size.grad_embedding}) {
    for (double& size : *sizes) size += double(s.batch) * 4;
  }
  return r;
}

// A sum of n terms taken in any order is off by at most n * epsilon/2 * the sum of their sizes (Higham 2002, 4.2).
template <class T>
void compare(const std::vector<T>& got, const std::vector<double>& value, const std::vector<double>& size, double terms,
             const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    const double bound = (terms + 8) * epsilon<T>() / 2 * size[i];
    check(std::fabs(got[i] - value[i]) <= bound, what + ": element " + std::to_string(i) + " is " +
                                                     std::to_string(got[i]) + ", expected " + std::to_string(value[i]) +
                                                     " within " + std::to_string(bound));
  }
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T>
void test_kernels(const cpu::Kernels& kernels, const Shape& s, Algorithm algorithm, bool tanh, bool bias) {
  const Problem<T> p = make_problem<T>(s, 7);
  const Results<T> got = run(kernels, p, algorithm, tanh, bias, 1);
  const Reference expected = reference(p, got.output, tanh, bias);
  const std::string what = std::string(kernels.isa) + (sizeof(T) == 8 ? " float64 (" : " float32 (") +
                           std::to_string(s.batch) + "," + std::to_string(s.block) + "," + std::to_string(s.vocab) +
                           "," + std::to_string(s.embed) + "," + std::to_string(s.hidden) + ") algorithm " +
                           std::to_string(static_cast<int>(algorithm));
  const double k_count = double(s.block * s.embed);
  compare(got.output, expected.value.output, expected.size.output, k_count, what + " output");
  compare(got.grad_embedding, expected.value.grad_embedding, expected.size.grad_embedding,
          double(s.batch * s.block + s.hidden), what + " grad_embedding");
  compare(got.grad_weight, expected.value.grad_weight, expected.size.grad_weight, double(s.batch),
          what + " grad_weight");
  if (bias)
    compare(got.grad_bias, expected.value.grad_bias, expected.size.grad_bias, double(s.batch), what + " grad_bias");

  const Results<T> again = run(kernels, p, algorithm, tanh, bias, 2);
  check(same_bits(got.output, again.output) && same_bits(got.grad_embedding, again.grad_embedding) &&
            same_bits(got.grad_weight, again.grad_weight) && same_bits(got.grad_bias, again.grad_bias),
        what + ": the same bits on two threads");
}

}  // namespace

int main() {
  // (batch, block, vocab, embed, hidden)
  const std::vector<Shape> shapes = {
      {32, 3, 27, 10, 200}, {1, 1, 1, 1, 1},     {1, 3, 27, 10, 200},   {2, 1, 300, 1, 17},  {7, 64, 5, 2, 3},
      {33, 8, 90, 64, 65},  {40, 5, 11, 33, 9},  {129, 2, 300, 16, 64}, {65, 1, 2, 70, 129}, {1030, 3, 27, 10, 40},
      {50, 4, 60, 24, 128}, {14, 16, 27, 4, 31}, {3, 2, 4, 40, 100},
  };
  for (const std::string& isa : cpu::supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    int count = 0;
    for (const Shape& shape : shapes) {
      for (const Algorithm algorithm : {Algorithm::kTable, Algorithm::kPlain, Algorithm::kByCost}) {
        ++count;
        test_kernels<float>(kernels, shape, algorithm, count % 2 == 0, count % 3 != 0);
        test_kernels<double>(kernels, shape, algorithm, count % 3 == 0, count % 2 != 0);
      }
    }
  }
  return result("embedding_concat_linear");
}
