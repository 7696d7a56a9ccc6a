// Step 3: the inner loop runs over h, where y and the transposed W are contiguous, so the compiler can take a vector of
// them at a time. In step 2 it could not: the order of a sum of floats must not change.
#include <cmath>
#include <cstdint>
#include <vector>

extern "C" void forward(int64_t N, int64_t T, int64_t V, int64_t E, int64_t H, const int64_t* tokens, const float* C,
                        const float* W, const float* b, float* y) {
  (void)V;
  std::vector<float> transposed(T * E * H);  // (T*E, H)
  for (int64_t h = 0; h < H; ++h) {
    for (int64_t k = 0; k < T * E; ++k) transposed[k * H + h] = W[h * T * E + k];
  }
  std::vector<float> z(H);
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t h = 0; h < H; ++h) z[h] = b[h];
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t e = 0; e < E; ++e) {
        const float x = C[tokens[n * T + t] * E + e];
        const float* w = &transposed[(t * E + e) * H];
        for (int64_t h = 0; h < H; ++h) z[h] += x * w[h];
      }
    }
    for (int64_t h = 0; h < H; ++h) y[n * H + h] = std::tanh(z[h]);
  }
}
