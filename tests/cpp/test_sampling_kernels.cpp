// The arithmetic of sampling against its definition, for every instruction set: random words, inversion, rows of
// thresholds, sums and products.
#include <algorithm>

#include "engine/sampling/sampling_kernels.h"
#include "support.h"

using namespace namegen;
using namespace namegen::sampling;
using namespace namegen::test;

namespace {

struct Words {
  uint32_t w[4];
};

// The definition of Philox, word by word.
Words philox(Words counter, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = uint64_t{counter.w[0]} * 0xD2511F53u, p1 = uint64_t{counter.w[2]} * 0xCD9E8D57u;
    counter = {{static_cast<uint32_t>(p1 >> 32) ^ counter.w[1] ^ k0, static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ counter.w[3] ^ k1, static_cast<uint32_t>(p0)}};
  }
  return counter;
}

void test_philox(const SamplingKernels& kernels) {
  // The published test vectors of Philox4x32-10 (Random123's kat_vectors).
  const auto is = [](Words a, Words b) { return std::equal(a.w, a.w + 4, b.w); };
  check(is(philox({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}), "the definition, zeros");
  check(is(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
           {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}),
        "the definition, digits of pi");
  for (int64_t count : {1, 3, 8, 16, 21}) {
    for (uint64_t first : {uint64_t{0}, 0xfffffff9u * uint64_t{1}, 0x7fffffffffff0000u * uint64_t{1}}) {
      const uint64_t seed = 0xfedcba9876543210u;
      std::vector<uint32_t> slot(count), words(4 * 32, 0);
      for (int64_t i = 0; i < count; ++i) slot[i] = static_cast<uint32_t>(3 * i);
      kernels.philox_words({seed, first, slot.data(), count, 7, words.data(), 32});
      for (int64_t i = 0; i < count; ++i) {
        const uint64_t sample = first + slot[i];
        const Words expected = philox({{static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32), 7, 0}},
                                      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
        for (int j = 0; j < 4; ++j) check(words[j * 32 + i] == expected.w[j], std::string(kernels.isa) + ": philox");
      }
    }
  }
}

// Cumulative probabilities of `vocab` symbols. Runs of impossible symbols stand at both ends and within.
std::vector<double> random_cumulative(int64_t vocab, std::mt19937& generator) {
  std::uniform_real_distribution<double> uniform;
  std::vector<double> c(vocab);
  const int64_t likely = generator() % vocab;
  double sum = 0;
  for (int64_t j = 0; j < vocab; ++j) {
    const double u = uniform(generator);
    sum += j == likely || u > 0.4 ? u * u * u : 0;
    c[j] = sum;
  }
  for (double& value : c) value /= sum;
  return c;
}

struct RowMemory {
  RowMemory(int64_t rows, int64_t vocab)
      : thresholds(rows * row_width(vocab)), last(rows), rows{thresholds.data(), last.data(), row_width(vocab)} {}
  std::vector<uint32_t> thresholds;
  std::vector<int32_t> last;
  Rows rows;
};

uint32_t invert(const double* cumulative, uint32_t word) {
  const double u = word * 0x1p-32;
  uint32_t symbol = 0;
  while (cumulative[symbol] <= u) ++symbol;
  return symbol;
}

void test_inversion(const SamplingKernels& kernels, std::mt19937& generator) {
  for (int64_t vocab : {2, 3, 16, 17, 18, 27, 32, 33, 34, 64, 65, 100, 300}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      const std::vector<double> c = random_cumulative(vocab, generator);
      RowMemory memory(2, vocab);
      std::vector<double> both = c;
      both.insert(both.end(), c.begin(), c.end());
      kernels.cumulative_to_rows({both.data(), 2, vocab, memory.rows, 0});
      // Words at and beside every threshold, at both ends, and anywhere.
      std::vector<uint32_t> words = {0, 1, kLargestWord - 1, kLargestWord};
      for (double value : c) {
        const double scaled = value * 0x1p32;
        for (double near : {std::floor(scaled) - 1, std::floor(scaled), std::ceil(scaled), std::ceil(scaled) + 1}) {
          if (near >= 0 && near <= kLargestWord) words.push_back(static_cast<uint32_t>(near));
        }
      }
      for (int i = 0; i < 50; ++i) words.push_back(generator());
      std::vector<uint32_t> row(words.size(), 1), symbol(words.size());
      kernels.draw_from_rows(
          {memory.rows, row.data(), words.data(), static_cast<int64_t>(words.size()), symbol.data()});
      for (size_t i = 0; i < words.size(); ++i) {
        check(symbol[i] == invert(c.data(), words[i]), std::string(kernels.isa) + ": inversion, vocab " +
                                                           std::to_string(vocab) + ", word " +
                                                           std::to_string(words[i]));
      }
    }
  }
}

void test_softmax(const SamplingKernels& kernels, std::mt19937& generator) {
  for (int64_t vocab : {2, 7, 16, 27, 40, 129}) {
    for (bool without_end : {false, true}) {
      for (int64_t top_k : {int64_t{1}, vocab / 2 + 1, vocab}) {
        const double temperature = 0.7;
        std::vector<float> logits(padded(vocab), 0.0f);
        const std::vector<float> values = random_values<float>(vocab, generator);
        std::copy(values.begin(), values.end(), logits.begin());
        logits[vocab - 1] = logits[0];  // of equal symbols the first is the likelier
        RowMemory memory(1, vocab);
        std::vector<double> scratch(2 * padded(vocab));
        const uint32_t row = 0;
        const Softmax p{logits.data(), padded(vocab),  1,           vocab, temperature, top_k,
                        without_end,   scratch.data(), memory.rows, &row};
        check(kernels.softmax(p), "the logits are finite");

        std::vector<int64_t> order;
        for (int64_t j = without_end ? 1 : 0; j < vocab; ++j) order.push_back(j);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
        order.resize(std::min<size_t>(order.size(), top_k));
        std::vector<double> weight(vocab, 0.0);
        double total = 0, sum = 0;
        for (int64_t j : order) total += weight[j] = std::exp((double{logits[j]} - logits[order[0]]) / temperature);
        for (int64_t j = 0; j < std::min(vocab, memory.rows.width); ++j) {
          sum += weight[j];
          // float64 has some ulp of error against units of 2^-32, so a threshold that is rounded up may be off by one.
          const double expected = std::min(sum / total * 0x1p32, 0x1p32 - 1);
          check(
              std::abs(memory.thresholds[j] - expected) <= 1.0 + 1e-5,
              std::string(kernels.isa) + ": softmax, vocab " + std::to_string(vocab) + ", symbol " + std::to_string(j));
        }
        const uint32_t words[] = {0, kLargestWord}, rows[] = {0, 0};
        uint32_t drawn[2];
        kernels.draw_from_rows({memory.rows, rows, words, 2, drawn});
        check(static_cast<int64_t>(drawn[0]) == *std::min_element(order.begin(), order.end()), "the least word");
        check(static_cast<int64_t>(drawn[1]) == *std::max_element(order.begin(), order.end()), "the largest word");

        for (float bad : {INFINITY, -INFINITY, NAN}) {
          logits[vocab / 2] = bad;
          check(!kernels.softmax(p), std::string(kernels.isa) + ": a logit that is not finite is found");
        }
      }
    }
  }
}

void test_log_totals(const SamplingKernels& kernels, std::mt19937& generator) {
  for (int64_t vocab : {2, 7, 16, 27, 40, 129}) {
    for (int64_t top_k : {int64_t{1}, vocab / 2 + 1, vocab}) {
      const double temperature = 0.7;
      const int64_t stride = padded(vocab);
      std::vector<float> logits(2 * stride, 0.0f), shaped(3 * stride, 99.0f);
      for (int64_t i : {int64_t{0}, stride}) {
        const std::vector<float> values = random_values<float>(vocab, generator);
        std::copy(values.begin(), values.end(), logits.begin() + i);
      }
      std::vector<double> scratch(2 * stride), total(3, 99.0);
      const uint32_t rows[] = {2, 0};
      const LogTotals p{logits.data(), stride,       2,   vocab, temperature, top_k, false, scratch.data(),
                        shaped.data(), total.data(), rows};
      check(kernels.log_totals(p), "the logits are finite");
      check(total[1] == 99.0 && shaped[stride] == 99.0f, "rows that are not named are left alone");
      for (int64_t i : {0, 1}) {
        const float* own = logits.data() + i * stride;
        std::vector<int64_t> order;
        for (int64_t j = 0; j < vocab; ++j) order.push_back(j);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return own[a] > own[b]; });
        double sum = 0;
        for (int64_t k = 0; k < top_k; ++k) sum += std::exp((double{own[order[k]]} - own[order[0]]) / temperature);
        // A sum of up to 129 terms, each within 1 ulp, in another order.
        check(std::abs(total[rows[i]] - sum) <= 1e-13 * sum, std::string(kernels.isa) + ": the sum of exp");
        for (int64_t k = 0; k < vocab; ++k) {
          const double expected = k < top_k ? (double{own[order[k]]} - own[order[0]]) / temperature : -INFINITY;
          const double found = shaped[rows[i] * stride + order[k]];
          const bool is_near = std::abs(found - expected) <= 6e-8 * std::abs(expected);  // rounded to float32
          check(k < top_k ? is_near : found == expected, std::string(kernels.isa) + ": shaped logits");
        }
      }
      logits[vocab / 2] = NAN;
      check(!kernels.log_totals(p), std::string(kernels.isa) + ": a logit that is not finite is found");
    }
  }
}

void test_sums_and_products(const SamplingKernels& kernels, std::mt19937& generator) {
  for (int64_t count : {1, 2, 5, 13, 40}) {
    for (int64_t depth : {1, 10, 37}) {
      const int64_t out = padded(count + depth), parts = 3, columns = parts * out;
      const std::vector<float> x = random_values<float>(count * depth, generator);
      const std::vector<float> weight = random_values<float>(columns * depth, generator);
      const std::vector<float> bias = random_values<float>(out, generator);
      std::vector<float> packed(packed_size(depth, columns)), products(count * columns);
      kernels.pack_weight(weight.data(), depth, columns, packed.data());
      kernels.product({x.data(), depth, packed.data(), depth, columns, count, products.data(), columns});
      std::vector<float> alone(columns);
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < columns; ++c) {
          double exact = 0, size = 0;
          for (int64_t k = 0; k < depth; ++k) {
            exact += double{x[i * depth + k]} * weight[c * depth + k];
            size += std::abs(double{x[i * depth + k]} * weight[c * depth + k]);
          }
          // Each of depth additions and products rounds by at most half an ulp.
          check(std::abs(products[i * columns + c] - exact) <= (depth + 1) * 0x1p-23 * size,
                std::string(kernels.isa) + ": product");
        }
        kernels.product({&x[i * depth], depth, packed.data(), depth, columns, 1, alone.data(), columns});
        check(std::equal(alone.begin(), alone.end(), &products[i * columns]),
              std::string(kernels.isa) + ": a row's product does not depend on those beside it");
      }
      std::vector<uint32_t> index(count * parts);
      for (uint32_t& i : index) i = generator() % count;
      std::vector<float> sums(count * out);
      for (bool with_tanh : {false, true}) {
        kernels.gathered_sum(
            {products.data(), columns, out, parts, index.data(), bias.data(), count, out, with_tanh, sums.data(), out});
        for (int64_t i = 0; i < count; ++i) {
          for (int64_t h = 0; h < out; ++h) {
            double exact = bias[h], size = std::abs(bias[h]);
            for (int64_t j = 0; j < parts; ++j) {
              const double term = products[index[i * parts + j] * columns + j * out + h];
              exact += term;
              size += std::abs(term);
            }
            // There are three additions, then a tanh within 3 ulp, whose slope is at most 1.
            const double bound = 3 * 0x1p-23 * (size + 1);
            check(std::abs(sums[i * out + h] - (with_tanh ? std::tanh(exact) : exact)) <= bound,
                  std::string(kernels.isa) + ": gathered sum");
          }
        }
      }
    }
  }
}

void test_logarithms(const SamplingKernels& kernels, std::mt19937& generator) {
  std::uniform_real_distribution<double> exponent(-140, 2);
  std::vector<float> values{0.0f,       1.0f,      0.5f,      2.0f,      0.70710677f, 0.70710683f, 1.4142135f,
                            1.4142137f, 0x1p-126f, 0x1p-127f, 0x1p-149f, 0.99999994f, 1.0000001f};
  while (values.size() < 4096) values.push_back(static_cast<float>(std::exp2(exponent(generator))));
  std::vector<float> found = values;
  kernels.logarithms({found.data(), static_cast<int64_t>(found.size()), -1e4f});
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = values[i] > 0 ? std::log(double(values[i])) : -1e4;
    // Each of the five last operations rounds a number of about the result's size, or one of 2 s that it is made of.
    check(std::abs(double(found[i]) - expected) <= 5 * 0x1p-24 * std::max(std::abs(expected), 0x1p-24),
          std::string(kernels.isa) + ": log of " + std::to_string(values[i]));
  }
}

void test_weighted_sum(const SamplingKernels& kernels, std::mt19937& generator) {
  for (const int64_t parts : {1, 2, 5}) {
    const int64_t count = 48;
    std::vector<std::vector<float>> part;
    std::vector<const float*> pointers;
    for (int64_t j = 0; j < parts; ++j) part.push_back(random_values<float>(count, generator));
    for (const std::vector<float>& values : part) pointers.push_back(values.data());
    const std::vector<float> weight = random_values<float>(parts, generator);
    std::vector<float> found(count);
    kernels.weighted_sum({pointers.data(), weight.data(), parts, count, found.data()});
    for (int64_t i = 0; i < count; ++i) {
      double expected = 0, size = 0;
      for (int64_t j = 0; j < parts; ++j) {
        expected += double(weight[j]) * double(part[j][i]);
        size += std::abs(double(weight[j]) * double(part[j][i]));
      }
      check(std::abs(double(found[i]) - expected) <= double(parts + 1) * 0x1p-24 * size,
            std::string(kernels.isa) + ": weighted sum");
    }
  }
}

}  // namespace

int main() {
  std::mt19937 generator(1);
  for (const std::string& isa : cpu::supported_isas()) {
    const SamplingKernels& kernels = sampling_kernels_for(isa.c_str());
    check(isa == kernels.isa, "the table of " + isa + " has its name");
    test_philox(kernels);
    test_inversion(kernels, generator);
    test_softmax(kernels, generator);
    test_log_totals(kernels, generator);
    test_sums_and_products(kernels, generator);
    test_logarithms(kernels, generator);
    test_weighted_sum(kernels, generator);
  }
  check(std::string(sampling_kernels().isa) == cpu::kernels().isa, "names are drawn by the instruction set in use");
  return result("sampling_kernels");
}
