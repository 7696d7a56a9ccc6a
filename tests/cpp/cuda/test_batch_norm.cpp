// The CUDA kernels of batch_norm against the CPU's in float64. Every data type, training and evaluation, rows that fit
// into shared memory and rows that do not, one chunk and several that wait for each other, channels far from zero. The
// bits must be the same on every run, whatever the order of threads.
#include "cuda_support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

constexpr double kMomentum = 0.1, kEps = 1e-5;
constexpr double kLargest = 25;  // no value of x is larger

struct Case {
  int64_t rows, channels;
  bool training, affine, tanh, running, input_only;
  size_t offset;  // of the large arrays, in values
};

template <class Data>
struct Problem {
  using T = typename Numbers<Data>::Compute;
  std::vector<Data> x, dy;
  std::vector<T> weight, bias, running_mean, running_var;
};

template <class Data>
Problem<Data> make_problem(const Case& c) {
  using T = typename Numbers<Data>::Compute;
  std::mt19937 generator(3);
  Problem<Data> p;
  auto x = random_values<double>(c.rows * c.channels, generator);
  for (size_t i = 0; i < x.size(); ++i) x[i] += double(i % c.channels % 3 * 8);  // channels around 0, 8 and 16
  p.x = as_data<Data>(x);
  p.dy = as_data<Data>(random_values<double>(c.rows * c.channels, generator));
  p.weight = random_values<T>(c.channels, generator);
  p.bias = random_values<T>(c.channels, generator);
  p.running_mean = random_values<T>(c.channels, generator);
  p.running_var = random_values<T>(c.channels, generator);
  for (T& v : p.running_var) v = v * v + T(0.1);
  return p;
}

template <class Data>
struct Results {
  using T = typename Numbers<Data>::Compute;
  std::vector<Data> output, grad_input;
  std::vector<T> mean, invstd, running_mean, running_var, grad_weight, grad_bias;
};

int cooperative = 0, with_rows_read_again = 0, all_rows_kept = 0;

void count_ways(const cuda::BatchNormPlan& plan, const Case& c) {
  const int64_t chunk = (c.rows + plan.chunks - 1) / plan.chunks;
  cooperative += plan.cooperative;
  with_rows_read_again += c.training && plan.kept_rows > 0 && plan.kept_rows < chunk;
  all_rows_kept += c.training && plan.kept_rows == chunk;
}

template <class Data>
Results<Data> run(const Case& c, const Problem<Data>& p, const cuda::Device& device, const Results<Data>* given) {
  using T = typename Numbers<Data>::Compute;
  const DeviceArray<Data> x(p.x, c.offset * sizeof(Data)), dy(p.dy, c.offset * sizeof(Data));
  const DeviceArray<Data> output(p.x.size(), c.offset * sizeof(Data)), grad_input(p.x.size(), c.offset * sizeof(Data));
  const DeviceArray<T> weight(p.weight), bias(p.bias), running_mean(p.running_mean), running_var(p.running_var);
  const DeviceArray<T> mean(p.bias.size()), invstd(p.bias.size());
  const DeviceArray<T> grad_weight(p.bias.size()), grad_bias(p.bias.size());
  const Activation activation = c.tanh ? Activation::kTanh : Activation::kNone;
  const bool running = c.running || !c.training;
  const cuda::BatchNormForward forward{c.rows,
                                       c.channels,
                                       x.data(),
                                       output.data(),
                                       c.affine ? weight.data() : nullptr,
                                       c.affine ? bias.data() : nullptr,
                                       mean.data(),
                                       invstd.data(),
                                       running ? running_mean.data() : nullptr,
                                       running ? running_var.data() : nullptr,
                                       c.training,
                                       kMomentum,
                                       kEps,
                                       activation};
  const auto plan = cuda::plan_batch_norm_forward(Numbers<Data>::kType, forward, device);
  check(plan.shared_bytes <= size_t(device.shared_bytes), "forward: shared memory beyond what the device has");
  check(!plan.cooperative || plan.slabs * plan.chunks <= device.multiprocessors, "forward: blocks that cannot wait");
  const DeviceArray<unsigned char> scratch(plan.scratch_bytes);
  check_cuda(cuda::batch_norm_forward(Numbers<Data>::kType, forward, plan, scratch.data(), nullptr),
             "batch_norm_forward");
  count_ways(plan, c);

  Results<Data> r{
      output.values(), {}, mean.values(), invstd.values(), running_mean.values(), running_var.values(), {}, {}};
  if (given != nullptr) check(same_bits(r.output, given->output), "the output has the same bits in another order");
  const cuda::BatchNormBackward backward{c.rows,
                                         c.channels,
                                         x.data(),
                                         c.tanh ? output.data() : nullptr,
                                         dy.data(),
                                         c.affine ? weight.data() : nullptr,
                                         mean.data(),
                                         invstd.data(),
                                         grad_input.data(),
                                         c.input_only ? nullptr : grad_weight.data(),
                                         c.input_only ? nullptr : grad_bias.data(),
                                         c.training,
                                         activation};
  const auto backward_plan = cuda::plan_batch_norm_backward(Numbers<Data>::kType, backward, device);
  check(backward_plan.shared_bytes <= size_t(device.shared_bytes),
        "backward: shared memory beyond what the device has");
  const DeviceArray<unsigned char> backward_scratch(backward_plan.scratch_bytes);
  check_cuda(cuda::batch_norm_backward(Numbers<Data>::kType, backward, backward_plan, backward_scratch.data(), nullptr),
             "batch_norm_backward");
  r.grad_input = grad_input.values();
  r.grad_weight = grad_weight.values();
  r.grad_bias = grad_bias.values();
  return r;
}

// The CPU's kernels in float64. `at` is what the backward pass is given; null stands for what this forward pass found.
template <class Data>
Results<double> on_cpu(const Case& c, const Problem<Data>& p, const Results<Data>* at) {
  const auto x = as_double(p.x), dy = as_double(p.dy), weight = as_double(p.weight), bias = as_double(p.bias);
  Results<double> r;
  r.output.resize(x.size());
  r.grad_input.resize(x.size());
  r.running_mean = as_double(p.running_mean);
  r.running_var = as_double(p.running_var);
  for (auto* values : {&r.mean, &r.invstd, &r.grad_weight, &r.grad_bias}) values->resize(bias.size());
  if (!c.training) {
    r.mean = r.running_mean;
    for (size_t i = 0; i < bias.size(); ++i) r.invstd[i] = 1 / std::sqrt(r.running_var[i] + kEps);
  }
  const Activation activation = c.tanh ? Activation::kTanh : Activation::kNone;
  const int type = static_cast<int>(DType::kFloat64);
  TestContext context;
  cpu::kernels().batch_norm_forward[type](
      {c.rows, c.channels, c.channels, x.data(), r.output.data(), c.affine ? weight.data() : nullptr,
       c.affine ? bias.data() : nullptr, r.mean.data(), r.invstd.data(), r.running_mean.data(), r.running_var.data(),
       c.training, kMomentum, kEps, activation},
      context);
  const auto output = as_double(at->output), mean = as_double(at->mean), invstd = as_double(at->invstd);
  cpu::kernels().batch_norm_backward[type](
      {c.rows, c.channels, c.channels, x.data(), output.data(), dy.data(), c.affine ? weight.data() : nullptr,
       mean.data(), invstd.data(), r.grad_input.data(), r.grad_weight.data(), r.grad_bias.data(), c.training,
       activation},
      context);
  return r;
}

std::vector<double> constant(size_t count, double value) { return std::vector<double>(count, value); }

template <class Data>
void test_kernels(const Case& c, const cuda::Device& device) {
  const Problem<Data> p = make_problem<Data>(c);
  const Results<Data> got = run<Data>(c, p, device, nullptr);
  const Results<double> expected = on_cpu(c, p, &got);
  const std::string what = std::string(Numbers<Data>::kName) + " (" + std::to_string(c.rows) + "," +
                           std::to_string(c.channels) + ")" + (c.training ? " training" : " evaluation") +
                           (c.tanh ? " tanh" : "") + " on " + std::to_string(device.multiprocessors) +
                           " multiprocessors";
  const double eps = Numbers<Data>::kComputeEpsilon, data_eps = Numbers<Data>::kEpsilon, n = double(c.rows);
  const auto channels = static_cast<size_t>(c.channels), values = p.x.size();

  // Sums of 8 rows are merged piece by piece, then by a tree. A path from a value to the result has at most this many
  // roundings. Each is at most an epsilon of the largest value or, for the variance, of its square.
  const double steps = 8 + n / 8 / 32 + 32;
  compare(as_double(got.mean), expected.mean, constant(channels, steps * eps * kLargest), what + " mean");
  std::vector<double> invstd_bound, var_bound;
  for (size_t i = 0; i < channels; ++i) {
    const double s = expected.invstd[i], variance = 1 / (s * s);
    // d(v^-1/2) = v^-3/2 dv / 2, where dv comes from the roundings of the squares and from the error of the mean.
    const double dv = steps * eps * (variance + 2 * std::sqrt(variance) * kLargest);
    invstd_bound.push_back(s * s * s * dv + 4 * eps * s);
    var_bound.push_back(kMomentum * dv * 2 + 4 * eps * (1 + variance + std::fabs(expected.running_var[i])));
  }
  compare(as_double(got.invstd), expected.invstd, invstd_bound, what + " invstd");
  if (c.training && c.running) {
    compare(as_double(got.running_mean), expected.running_mean, constant(channels, steps * eps * kLargest),
            what + " running_mean");
    compare(as_double(got.running_var), expected.running_var, var_bound, what + " running_var");
  } else {
    check(same_bits(got.running_mean, p.running_mean) && same_bits(got.running_var, p.running_var),
          what + ": the running statistics stay as they are");
  }
  // The output is the one at the statistics that the kernel found. The gradients are those at its output and
  // statistics.
  std::vector<double> output, output_bound, input_bound, sums_bound, products_bound;
  std::vector<double> size(channels), product_size(channels);
  for (size_t i = 0; i < values; ++i) {
    const size_t ch = i % channels;
    const double x = Numbers<Data>::to_double(p.x[i]), w = c.affine ? double(p.weight[ch]) : 1;
    const double scaled = (x - double(got.mean[ch])) * double(got.invstd[ch]) * w;
    const double z = scaled + (c.affine ? double(p.bias[ch]) : 0), y = c.tanh ? std::tanh(z) : z;
    output.push_back(y);
    output_bound.push_back(
        8 * eps * (1 + std::fabs(z) + std::fabs(scaled) + kLargest * std::fabs(w) * double(got.invstd[ch])) +
        data_eps * std::fabs(y) + Numbers<Data>::kSmallest);
    const double dy = std::fabs(Numbers<Data>::to_double(p.dy[i]));
    size[ch] += 2 * dy;
    product_size[ch] += 2 * dy * (std::fabs(x - double(got.mean[ch])) + 1) * double(got.invstd[ch]);
  }
  compare(as_double(got.output), output, output_bound, what + " output");
  for (size_t ch = 0; ch < channels; ++ch) {
    sums_bound.push_back(steps * eps * size[ch]);
    products_bound.push_back(steps * eps * product_size[ch] * (1 + kLargest * double(got.invstd[ch])));
  }
  if (!c.input_only) {
    compare(as_double(got.grad_bias), expected.grad_bias, sums_bound, what + " grad_bias");
    compare(as_double(got.grad_weight), expected.grad_weight, products_bound, what + " grad_weight");
  }
  for (size_t i = 0; i < values; ++i) {
    const size_t ch = i % channels;
    const double g = std::fabs(c.affine ? double(p.weight[ch]) : 1) * double(got.invstd[ch]);
    const double xhat =
        (std::fabs(Numbers<Data>::to_double(p.x[i]) - double(got.mean[ch])) + 1) * double(got.invstd[ch]);
    const double parts = 2 * std::fabs(Numbers<Data>::to_double(p.dy[i])) + (size[ch] + xhat * product_size[ch]) / n;
    input_bound.push_back(g * (8 * eps * parts * (1 + kLargest * double(got.invstd[ch])) +
                               (sums_bound[ch] + xhat * products_bound[ch]) / n) +
                          data_eps * std::fabs(expected.grad_input[i]) + Numbers<Data>::kSmallest);
  }
  compare(as_double(got.grad_input), expected.grad_input, input_bound, what + " grad_input");

  in_another_order([&] {
    const Results<Data> again = run<Data>(c, p, device, &got);
    check(same_bits(got.mean, again.mean) && same_bits(got.invstd, again.invstd) &&
              same_bits(got.running_mean, again.running_mean) && same_bits(got.running_var, again.running_var) &&
              same_bits(got.grad_input, again.grad_input) && same_bits(got.grad_weight, again.grad_weight) &&
              same_bits(got.grad_bias, again.grad_bias),
          what + ": the same bits in another order");
  });
}

}  // namespace

int main() {
  int count = 0;
  for (const cuda::Device& device : devices()) {
    for (const auto& [rows, channels] : std::vector<std::pair<int64_t, int64_t>>{
             {32, 200}, {2, 1}, {3, 65}, {127, 16}, {129, 7}, {700, 40}, {2500, 24}, {2049, 5}, {5000, 8}}) {
      // Many threads take long in the emulation. So the largest device gets few rows, and the small ones get many.
      if (device.multiprocessors > 8 && rows * channels > 30000) continue;
      for (const bool training : {true, false}) {
        ++count;
        const Case c{rows,          channels,       training,       count % 3 != 0,
                     count % 4 < 2, count % 5 != 0, count % 7 == 0, count % 6 == 0 ? size_t(1) : size_t(0)};
        test_kernels<float>(c, device);
        if (count % 2 == 0) test_kernels<double>(c, device);
        if (count % 3 == 0) test_kernels<BFloat16>(c, device);
        if (count % 3 == 1) test_kernels<Float16>(c, device);
      }
    }
  }
  check(cooperative > 0 && with_rows_read_again > 0 && all_rows_kept > 0, "every way is taken by some shape");
  return result("cuda batch_norm");
}
