// The CUDA kernels of embedding_concat_linear against the CPU's in float64. Every data type, both kinds of table, odd
// and size-one shapes, small and large devices. The bits must be the same on every run, whatever the order of threads.
#include "cuda_support.h"

using namespace namegen;
using namespace namegen::test;
using Shape = EmbeddingConcatLinearShape;

namespace {

template <class Data>
struct Problem {
  Shape shape;
  std::vector<int64_t> tokens;
  std::vector<Data> embedding, weight, bias, grad_output;
};

template <class Data>
Problem<Data> make_problem(const Shape& s) {
  std::mt19937 generator(7);
  Problem<Data> problem{s, std::vector<int64_t>(s.batch * s.block), {}, {}, {}, {}};
  for (int64_t& token : problem.tokens) token = generator() % s.vocab;
  auto weight = random_values<double>(s.hidden * s.block * s.embed, generator);
  for (double& w : weight) w /= std::sqrt(double(s.block * s.embed));
  problem.embedding = as_data<Data>(random_values<double>(s.vocab * s.embed, generator));
  problem.weight = as_data<Data>(weight);
  problem.bias = as_data<Data>(random_values<double>(s.hidden, generator));
  problem.grad_output = as_data<Data>(random_values<double>(s.batch * s.hidden, generator));
  return problem;
}

template <class Data>
struct Results {
  std::vector<Data> output, grad_embedding, grad_weight, grad_bias;
};

struct Options {
  TokenType tokens;
  bool tanh, bias;
  size_t offset;  // in values, of the arrays that are read several values at a time
};

// The bytes of tokens in memory, as the given type.
std::vector<unsigned char> token_bytes(const std::vector<int64_t>& tokens, TokenType type) {
  const size_t size = type == TokenType::kInt64 ? 8 : type == TokenType::kInt32 ? 4 : 1;
  std::vector<unsigned char> bytes(tokens.size() * size);
  for (size_t i = 0; i < tokens.size(); ++i) std::memcpy(&bytes[i * size], &tokens[i], size);  // little-endian
  return bytes;
}

template <class Data>
bool run_forward(const Problem<Data>& p, const Options& o, const cuda::Device& device, std::vector<Data>& output) {
  const Shape& s = p.shape;
  const DeviceArray<unsigned char> tokens(token_bytes(p.tokens, o.tokens));
  const DeviceArray<Data> embedding(p.embedding), weight(p.weight), bias(p.bias);
  const DeviceArray<Data> result(s.batch * s.hidden, o.offset * sizeof(Data));
  const cuda::EmbeddingConcatLinearForward params{s,
                                                  tokens.data(),
                                                  o.tokens,
                                                  embedding.data(),
                                                  weight.data(),
                                                  o.bias ? bias.data() : nullptr,
                                                  result.data(),
                                                  o.tanh ? Activation::kTanh : Activation::kNone};
  const auto plan = cuda::plan_embedding_concat_linear_forward(Numbers<Data>::kType, params, device);
  if (plan.table == cuda::Table::kNone) return false;
  check(plan.shared_bytes <= size_t(device.shared_bytes), "shared memory beyond what the device has");
  const DeviceArray<unsigned char> scratch(plan.scratch_bytes);
  check_cuda(cuda::embedding_concat_linear_forward(Numbers<Data>::kType, params, plan, scratch.data(), nullptr),
             "embedding_concat_linear_forward");
  output = result.values();
  return true;
}

template <class Data>
bool run_backward(const Problem<Data>& p, const Options& o, const cuda::Device& device, Results<Data>& r) {
  const Shape& s = p.shape;
  const DeviceArray<unsigned char> tokens(token_bytes(p.tokens, o.tokens));
  const DeviceArray<Data> embedding(p.embedding), weight(p.weight);
  const DeviceArray<Data> output(r.output, o.offset * sizeof(Data)), dy(p.grad_output, o.offset * sizeof(Data));
  const DeviceArray<Data> grad_embedding(s.vocab * s.embed), grad_weight(s.hidden * s.block * s.embed),
      grad_bias(s.hidden);
  const cuda::EmbeddingConcatLinearBackward params{s,
                                                   tokens.data(),
                                                   o.tokens,
                                                   embedding.data(),
                                                   weight.data(),
                                                   o.tanh ? output.data() : nullptr,
                                                   dy.data(),
                                                   grad_embedding.data(),
                                                   grad_weight.data(),
                                                   o.bias ? grad_bias.data() : nullptr,
                                                   o.tanh ? Activation::kTanh : Activation::kNone};
  const auto plan = cuda::plan_embedding_concat_linear_backward(Numbers<Data>::kType, params, device);
  if (!plan.by_table) return false;
  check(std::max(plan.shared_bytes, plan.product_shared_bytes) <= size_t(device.shared_bytes),
        "shared memory beyond what the device has");
  const DeviceArray<unsigned char> scratch(plan.scratch_bytes);
  check_cuda(cuda::embedding_concat_linear_backward(Numbers<Data>::kType, params, plan, scratch.data(), nullptr),
             "embedding_concat_linear_backward");
  r.grad_embedding = grad_embedding.values();
  r.grad_weight = grad_weight.values();
  r.grad_bias = grad_bias.values();
  return true;
}

// The CPU's kernels in float64.
struct Exact {
  std::vector<double> output, grad_embedding, grad_weight, grad_bias;
};
Exact on_cpu(const Shape& s, const std::vector<int64_t>& tokens, const std::vector<double>& embedding,
             const std::vector<double>& weight, const std::vector<double>& bias, const std::vector<double>& y,
             const std::vector<double>& dy, bool tanh) {
  Exact exact{std::vector<double>(s.batch * s.hidden), std::vector<double>(s.vocab * s.embed),
              std::vector<double>(s.hidden * s.block * s.embed), std::vector<double>(s.hidden)};
  const std::vector<int32_t> narrow(tokens.begin(), tokens.end());
  const Activation activation = tanh ? Activation::kTanh : Activation::kNone;
  const int type = static_cast<int>(DType::kFloat64);
  TestContext forward_context, backward_context;
  cpu::kernels().embedding_concat_linear_forward[type](
      {s, narrow.data(), embedding.data(), weight.data(), bias.empty() ? nullptr : bias.data(), exact.output.data(),
       s.hidden, activation, cpu::Algorithm::kByCost},
      forward_context);
  cpu::kernels().embedding_concat_linear_backward[type](
      {s, narrow.data(), embedding.data(), weight.data(), y.data(), dy.data(), s.hidden, exact.grad_embedding.data(),
       exact.grad_weight.data(), exact.grad_bias.data(), activation, cpu::Algorithm::kByCost},
      backward_context);
  return exact;
}

// A sum of n terms taken in another order is off by at most n * epsilon/2 * the sum of their sizes (Higham 2002, 4.2).
// Then it is rounded to the data type.
template <class Data>
std::vector<double> bounds(const std::vector<double>& value, const std::vector<double>& size, double terms) {
  std::vector<double> result;
  for (size_t i = 0; i < value.size(); ++i) {
    result.push_back((terms + 8) * Numbers<Data>::kComputeEpsilon * size[i] +
                     Numbers<Data>::kEpsilon * std::fabs(value[i]) + Numbers<Data>::kSmallest);
  }
  return result;
}

int by_shared_table = 0, by_scratch_table = 0, backward_by_table = 0, several_chunks = 0;

template <class Data>
void test_kernels(const Shape& s, const Options& o, const cuda::Device& device) {
  const Problem<Data> p = make_problem<Data>(s);
  const std::string what = std::string(Numbers<Data>::kName) + " (" + std::to_string(s.batch) + "," +
                           std::to_string(s.block) + "," + std::to_string(s.vocab) + "," + std::to_string(s.embed) +
                           "," + std::to_string(s.hidden) + ") on " + std::to_string(device.multiprocessors) +
                           " multiprocessors";
  const auto embedding = as_double(p.embedding), weight = as_double(p.weight), dy = as_double(p.grad_output);
  const auto bias = o.bias ? as_double(p.bias) : std::vector<double>();
  const std::vector<double> no_output(s.batch * s.hidden);
  const Exact expected = on_cpu(s, p.tokens, embedding, weight, bias, no_output, dy, o.tanh);
  const Exact sizes = on_cpu(s, p.tokens, magnitudes(embedding), magnitudes(weight), magnitudes(bias), no_output,
                             magnitudes(dy), false);

  Results<Data> first, again;
  if (run_forward(p, o, device, first.output)) {
    compare(as_double(first.output), expected.output, bounds<Data>(expected.output, sizes.output, s.block * s.embed),
            what + " output");
    in_another_order([&] {
      run_forward(p, o, device, again.output);
      check(same_bits(first.output, again.output), what + " output: the same bits in another order");
    });
  } else {
    first.output = as_data<Data>(expected.output);
  }
  again.output = first.output;
  if (!run_backward(p, o, device, first)) return;
  // The gradients are those at the output that the kernel gave. d itself is rounded, by up to an epsilon of |dy|.
  const Exact gradients = on_cpu(s, p.tokens, embedding, weight, bias, as_double(first.output), dy, o.tanh);
  compare(as_double(first.grad_embedding), gradients.grad_embedding,
          bounds<Data>(gradients.grad_embedding, sizes.grad_embedding, s.batch * s.block + s.block * s.hidden),
          what + " grad_embedding");
  compare(as_double(first.grad_weight), gradients.grad_weight,
          bounds<Data>(gradients.grad_weight, sizes.grad_weight, s.batch + s.vocab), what + " grad_weight");
  if (o.bias) {
    compare(as_double(first.grad_bias), gradients.grad_bias,
            bounds<Data>(gradients.grad_bias, sizes.grad_bias, s.batch + s.vocab), what + " grad_bias");
  }
  in_another_order([&] {
    run_backward(p, o, device, again);
    check(same_bits(first.grad_embedding, again.grad_embedding) && same_bits(first.grad_weight, again.grad_weight) &&
              (!o.bias || same_bits(first.grad_bias, again.grad_bias)),
          what + " gradients: the same bits in another order");
  });
}

void count_ways(const Shape& s, const cuda::Device& device) {
  cuda::EmbeddingConcatLinearForward forward{};
  forward.shape = s;
  cuda::EmbeddingConcatLinearBackward backward{};
  backward.shape = s;
  const auto f = cuda::plan_embedding_concat_linear_forward(DType::kFloat32, forward, device);
  const auto b = cuda::plan_embedding_concat_linear_backward(DType::kFloat32, backward, device);
  by_shared_table += f.table == cuda::Table::kShared;
  by_scratch_table += f.table == cuda::Table::kScratch;
  backward_by_table += b.by_table;
  several_chunks += b.by_table && b.chunks > 1;
}

// The embedding of a symbol that does not occur may hold anything. Its gradient is 0.
void test_symbols_that_do_not_occur() {
  Problem<float> p = make_problem<float>({40, 2, 9, 5, 12});
  for (int64_t& token : p.tokens) token %= 4;
  for (size_t i = 4 * 5; i < p.embedding.size(); ++i) p.embedding[i] = i % 2 == 0 ? NAN : INFINITY;
  Results<float> r;
  const Options options{TokenType::kInt32, true, true, 0};
  check(run_forward(p, options, devices()[0], r.output) && run_backward(p, options, devices()[0], r), "by table");
  for (const auto* values : {&r.output, &r.grad_embedding, &r.grad_weight, &r.grad_bias}) {
    for (const float v : *values) check(std::isfinite(v), "symbols that do not occur: a result is not finite");
  }
  for (size_t i = 4 * 5; i < r.grad_embedding.size(); ++i) {
    check(r.grad_embedding[i] == 0, "symbols that do not occur: a gradient is not 0");
  }
}

#if defined(NAMEGEN_EMULATE_CUDA)
// On a GPU an assertion leaves the process without a usable device, so this is tested in the emulation alone.
void test_tokens_out_of_range() {
  for (const int64_t wrong : {int64_t(9), int64_t(-1), int64_t(1) << 32, std::numeric_limits<int64_t>::min()}) {
    Problem<float> p = make_problem<float>({40, 2, 9, 5, 12});
    p.tokens[57] = wrong;
    const DeviceArray<int64_t> tokens(p.tokens);
    const DeviceArray<float> embedding(p.embedding), weight(p.weight), dy(p.grad_output), output(p.grad_output.size());
    const DeviceArray<float> grads(p.weight.size() + p.embedding.size());
    const cuda::EmbeddingConcatLinearForward forward{p.shape,          tokens.data(),    TokenType::kInt64,
                                                     embedding.data(), weight.data(),    nullptr,
                                                     output.data(),    Activation::kNone};
    const cuda::EmbeddingConcatLinearBackward backward{
        p.shape,   tokens.data(), TokenType::kInt64, embedding.data(), weight.data(),    nullptr,
        dy.data(), grads.data(),  nullptr,           nullptr,          Activation::kNone};
    const cuda::Device device = devices()[0];
    const auto forward_plan = cuda::plan_embedding_concat_linear_forward(DType::kFloat32, forward, device);
    const auto backward_plan = cuda::plan_embedding_concat_linear_backward(DType::kFloat32, backward, device);
    const DeviceArray<unsigned char> scratch(std::max(forward_plan.scratch_bytes, backward_plan.scratch_bytes));
    check(cuda::embedding_concat_linear_forward(DType::kFloat32, forward, forward_plan, scratch.data(), nullptr) ==
              cudaErrorAssert,
          "a token out of range ends the forward kernel");
    check(cuda::embedding_concat_linear_backward(DType::kFloat32, backward, backward_plan, scratch.data(), nullptr) ==
              cudaErrorAssert,
          "a token out of range ends the backward kernel");
  }
}
#endif

}  // namespace

int main() {
  // (batch, block, vocab, embed, hidden)
  const std::vector<Shape> shapes = {
      {32, 3, 27, 10, 200},  {1, 1, 1, 1, 1},     {1, 3, 27, 10, 200},  {2, 1, 300, 1, 17},    {7, 64, 5, 2, 3},
      {33, 8, 90, 16, 66},   {40, 5, 11, 33, 9},  {129, 2, 60, 16, 64}, {65, 1, 2, 70, 129},   {5000, 3, 27, 4, 40},
      {600, 4, 100, 24, 24}, {14, 16, 27, 4, 31}, {3, 2, 4, 40, 100},   {1500, 1, 300, 16, 8},
  };
  int count = 0;
  for (const cuda::Device& device : devices()) {
    for (const Shape& shape : shapes) {
      ++count;
      const Options options{count % 3 == 0       ? TokenType::kInt32
                            : count % 3 == 1     ? TokenType::kInt64
                            : shape.vocab <= 256 ? TokenType::kUInt8
                                                 : TokenType::kInt64,
                            count % 2 == 0, count % 5 != 0, count % 4 == 0 ? size_t(1) : size_t(0)};
      test_kernels<float>(shape, options, device);
      if (count % 2 == 0) test_kernels<double>(shape, options, device);
      if (count % 2 == 1) test_kernels<BFloat16>(shape, options, device);
      if (count % 3 != 1) test_kernels<Float16>(shape, options, device);
      count_ways(shape, device);
    }
  }
  check(by_shared_table > 0 && by_scratch_table > 0 && backward_by_table > 0 && several_chunks > 0,
        "every way is taken by some shape");
  test_symbols_that_do_not_occur();
#if defined(NAMEGEN_EMULATE_CUDA)
  test_tokens_out_of_range();
#endif
  return result("cuda embedding_concat_linear");
}
