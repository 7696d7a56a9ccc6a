// Step 2: the same arithmetic in one pass, written down as it is defined.
#include <cmath>
#include <cstdint>

// y[n, h] = tanh(b[h] + sum over t, e of C[token(n, t), e] * W[h, t * E + e])
extern "C" void forward(int64_t N, int64_t T, int64_t V, int64_t E, int64_t H, const int64_t* tokens, const float* C,
                        const float* W, const float* b, float* y) {
  (void)V;
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t h = 0; h < H; ++h) {
      float z = b[h];
      for (int64_t t = 0; t < T; ++t) {
        const float* embedding = C + tokens[n * T + t] * E;
        for (int64_t e = 0; e < E; ++e) z += embedding[e] * W[h * T * E + t * E + e];
      }
      y[n * H + h] = std::tanh(z);
    }
  }
}
