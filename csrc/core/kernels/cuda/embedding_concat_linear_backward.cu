// The gradients of embedding_concat_linear, with d = dy * (1 - y^2) for tanh and d = dy without, by table:
//
//   G[t, s] = sum of d[n] over the examples with token(n, t) = s,
//   db = sum_s G[0, s],  dW_t = sum_s G[t, s]^T C[s],  dC[s] = sum_t G[t, s] @ W_t.
//
// There are no atomics: every sum is formed by one thread, in the order of the examples. A warp owns the sums of a slab
// of columns in shared memory, a lane owns its columns of them, and the warp goes through a run of examples. The sums
// of a block's warps are merged in order, then those of the chunks. There are three launches: the sums, their merging
// where there are several chunks, and the products. Symbols that do not occur at a position take no part, as in the
// unfused layers: their embedding may be infinite or NaN.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/values.h"

namespace namegen::cuda {
namespace {

using Backward = EmbeddingConcatLinearBackward;
using Plan = EmbeddingConcatLinearBackwardPlan;

struct Arguments {
  Backward p;
  Plan plan;
  void* sums;               // (chunks, T*V, H) compute: after merging, the first chunk's are G
  unsigned char* occurred;  // (chunks, T*V): whether a symbol occurs at a position; after merging, the first chunk's
};

constexpr int kLanes = 32;
constexpr int kUnroll = 4;     // d of so many examples is read ahead
constexpr int kPositions = 4;  // the sums of so many positions are read before any is written
constexpr int kMergeThreads = 256;
constexpr int kProductThreads = 256;
constexpr int kEmbed = 4;    // a thread forms the products of so many columns of C at a time
constexpr int kSymbols = 4;  // a block forms dC of so many symbols

struct Range {
  int64_t first, end;
};

// The examples of one of `warps` warps within one of `chunks` chunks.
__host__ __device__ inline Range examples_of(int64_t batch, int64_t chunk, int64_t chunks, int64_t warp,
                                             int64_t warps) {
  const int64_t parts = chunks * warps, part = chunk * warps + warp;
  return {batch * part / parts, batch * (part + 1) / parts};
}

template <class Data, int Width>
__device__ void load_gradient(const Backward& p, int64_t at, Compute<Data> (&d)[Width]) {
  using T = Compute<Data>;
  const Values<Data, Width> dy = load_values<Width>(static_cast<const Data*>(p.grad_output) + at);
#pragma unroll
  for (int j = 0; j < Width; ++j) d[j] = to_compute(dy.at[j]);
  if (p.activation == Activation::kTanh) {
    const Values<Data, Width> values = load_values<Width>(static_cast<const Data*>(p.output) + at);
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const T y = to_compute(values.at[j]);
      d[j] *= 1 - y * y;
    }
  }
}

// sums[t, token(n, t)] += d for the positions [first, first + positions). Lane 0 notes which symbols occur.
template <class T, int Width>
__device__ void add_example(const Backward& p, int64_t n, int first, int positions, const T (&d)[Width], T* sums,
                            int pitch, unsigned char* occurred, bool notes) {
  const int vocab = static_cast<int>(p.shape.vocab);
  for (int t = 0; t < positions; t += kPositions) {
    int row[kPositions];
#pragma unroll
    for (int u = 0; u < kPositions; ++u) {
      if (t + u < positions) {
        row[u] = (t + u) * vocab + checked_token(p.tokens, p.token_type, n * p.shape.block + first + t + u, vocab);
      }
    }
    T values[kPositions][Width];
#pragma unroll
    for (int u = 0; u < kPositions; ++u) {
      if (t + u < positions) load_compute(sums + row[u] * pitch, values[u]);
    }
#pragma unroll
    for (int u = 0; u < kPositions; ++u) {
      if (t + u < positions) {
#pragma unroll
        for (int j = 0; j < Width; ++j) values[u][j] += d[j];
        store_compute(sums + row[u] * pitch, values[u]);
        if (notes) occurred[row[u]] = 1;
      }
    }
  }
}

}  // namespace

// The grid is (slabs, chunks, groups of positions).
template <class Data, int Width>
__global__ void __launch_bounds__(4 * kLanes) embedding_concat_linear_backward_sums(Arguments a) {
  using T = Compute<Data>;
  NAMEGEN_SHARED_MEMORY(memory);
  const Backward& p = a.p;
  const int vocab = static_cast<int>(p.shape.vocab), pitch = a.plan.columns, warps = a.plan.warps;
  const int position = blockIdx.z * a.plan.group_positions;
  const int positions = static_cast<int>(smaller(a.plan.group_positions, p.shape.block - position));
  const int rows = positions * vocab, chunk = blockIdx.y;
  const int warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  T* sums = reinterpret_cast<T*>(memory);                                                   // (warps, rows, columns)
  unsigned char* occurred = reinterpret_cast<unsigned char*>(sums + warps * rows * pitch);  // (warps, rows)
  for (int i = threadIdx.x; i < warps * rows * pitch; i += blockDim.x) sums[i] = T(0);
  for (int i = threadIdx.x; i < warps * rows; i += blockDim.x) occurred[i] = 0;
  __syncthreads();

  const int slab = blockIdx.x * pitch, within = lane * Width;
  if (within < pitch && slab + within < p.shape.hidden) {
    T* own = sums + warp * rows * pitch + within;
    const Range examples = examples_of(p.shape.batch, chunk, a.plan.chunks, warp, warps);
    for (int64_t n = examples.first; n < examples.end; n += kUnroll) {
      T d[kUnroll][Width];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (n + u < examples.end) load_gradient<Data, Width>(p, (n + u) * p.shape.hidden + slab + within, d[u]);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (n + u < examples.end) {
          add_example(p, n + u, position, positions, d[u], own, pitch, occurred + warp * rows, lane == 0);
        }
      }
    }
  }
  __syncthreads();

  const int64_t first_row = chunk * p.shape.block * vocab + position * vocab;
  T* result = static_cast<T*>(a.sums) + first_row * p.shape.hidden + slab;
  const int columns = static_cast<int>(smaller(pitch, p.shape.hidden - slab));
  for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
    const int r = i / columns, c = i % columns;
    T sum = sums[r * pitch + c];
    for (int w = 1; w < warps; ++w) sum += sums[(w * rows + r) * pitch + c];
    result[r * p.shape.hidden + c] = sum;
  }
  const int told_rows = blockIdx.x == 0 ? rows : 0;  // all blocks of a chunk know the same
  for (int r = threadIdx.x; r < told_rows; r += blockDim.x) {
    unsigned char any = occurred[r];
    for (int w = 1; w < warps; ++w) any |= occurred[w * rows + r];
    a.occurred[first_row + r] = any;
  }
}

// Adds the sums of all chunks, in order, to those of the first.
template <class T>
__global__ void __launch_bounds__(kMergeThreads) embedding_concat_linear_backward_merge(Arguments a) {
  const int64_t rows = a.p.shape.block * a.p.shape.vocab, size = rows * a.p.shape.hidden;
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  T* sums = static_cast<T*>(a.sums);
  if (i < size) {
    T sum = sums[i];
#pragma unroll 8
    for (int chunk = 1; chunk < a.plan.chunks; ++chunk) sum += sums[chunk * size + i];
    sums[i] = sum;
  }
  if (i < rows) {
    unsigned char any = a.occurred[i];
#pragma unroll 8
    for (int chunk = 1; chunk < a.plan.chunks; ++chunk) any |= a.occurred[chunk * rows + i];
    a.occurred[i] = any;
  }
}

namespace {

// The blocks of the launch that forms the products. First come those of dW and db, one for each position and 32 columns
// of H, then those of dC, one for each 4 symbols.
struct ProductBlocks {
  int64_t column_tiles, weight, embedding;
};
__host__ __device__ inline ProductBlocks product_blocks(const Backward& p) {
  const int64_t tiles = ceil_div(p.shape.hidden, kLanes);
  const bool weight = p.grad_linear_weight != nullptr, bias = p.grad_linear_bias != nullptr;
  return {tiles,
          weight ? tiles * p.shape.block
          : bias ? tiles
                 : 0,
          p.grad_embedding != nullptr ? ceil_div(p.shape.vocab, kSymbols) : 0};
}

// dW[h, t, :] for 32 values of h and, at position 0, their db. Each lane has an h, each warp has some columns of C.
template <class Data>
__device__ void form_weight_gradient(const Arguments& a, int t, int64_t h) {
  using T = Compute<Data>;
  const Backward& p = a.p;
  const int vocab = static_cast<int>(p.shape.vocab), embed = static_cast<int>(p.shape.embed);
  // (V), where neighbours lie H apart.
  const T* sums = static_cast<const T*>(a.sums) + int64_t(t) * vocab * p.shape.hidden + h;
  const unsigned char* occurred = a.occurred + t * vocab;
  const Data* embedding = static_cast<const Data*>(p.embedding);
  const int warp = threadIdx.x / kLanes, warps = blockDim.x / kLanes;
  if (h >= p.shape.hidden) return;
  if (t == 0 && warp == warps - 1 && p.grad_linear_bias != nullptr) {
    T sum = T(0);
#pragma unroll 8
    for (int s = 0; s < vocab; ++s) sum += sums[s * p.shape.hidden];
    static_cast<Data*>(p.grad_linear_bias)[h] = to_data<Data>(sum);
  }
  if (p.grad_linear_weight == nullptr) return;
  Data* grad = static_cast<Data*>(p.grad_linear_weight) + (h * p.shape.block + t) * embed;
  for (int e = warp * kEmbed; e < embed; e += warps * kEmbed) {
    T totals[kEmbed] = {};
#pragma unroll 2
    for (int s = 0; s < vocab; ++s) {
      if (occurred[s] == 0) continue;
      const T g = sums[s * p.shape.hidden];
#pragma unroll
      for (int j = 0; j < kEmbed; ++j) {
        if (e + j < embed) totals[j] += g * to_compute(embedding[int64_t(s) * embed + e + j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kEmbed; ++j) {
      if (e + j < embed) grad[e + j] = to_data<Data>(totals[j]);
    }
  }
}

// dC[s] for 4 symbols. A thread has a column k = (t, e) of W and, of its rows, those of its row group. The findings of
// the threads of a column are added in order, then those of the positions. `parts` is (row groups, 4, T*E).
template <class Data>
__device__ void form_embedding_gradient(const Arguments& a, int64_t symbol, Compute<Data>* parts) {
  using T = Compute<Data>;
  const Backward& p = a.p;
  const int vocab = static_cast<int>(p.shape.vocab), embed = static_cast<int>(p.shape.embed);
  const int block = static_cast<int>(p.shape.block), hidden = static_cast<int>(p.shape.hidden), depth = block * embed;
  const int side = static_cast<int>(smaller(depth, blockDim.x)), groups = blockDim.x / side;
  const int group = threadIdx.x / side;
  const T* sums = static_cast<const T*>(a.sums);
  const Data* weight = static_cast<const Data*>(p.linear_weight);
  if (group < groups) {
    for (int k = threadIdx.x % side; k < depth; k += side) {
      const int64_t row = int64_t(k / embed) * vocab + symbol;  // of G: position k / embed, the first symbol
      bool takes_part[kSymbols];
      T totals[kSymbols] = {};
#pragma unroll
      for (int j = 0; j < kSymbols; ++j) takes_part[j] = symbol + j < vocab && a.occurred[row + j] != 0;
#pragma unroll 4
      for (int h = group; h < hidden; h += groups) {
        const T w = to_compute(weight[int64_t(h) * depth + k]);
#pragma unroll
        for (int j = 0; j < kSymbols; ++j) {
          if (takes_part[j]) totals[j] += sums[(row + j) * hidden + h] * w;
        }
      }
#pragma unroll
      for (int j = 0; j < kSymbols; ++j) parts[(group * kSymbols + j) * depth + k] = totals[j];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kSymbols * embed; i += blockDim.x) {
    const int j = i / embed, e = i % embed;
    if (symbol + j >= vocab) continue;
    T total = T(0);
    for (int t = 0; t < block; ++t) {
      for (int g = 0; g < groups; ++g) total += parts[(g * kSymbols + j) * depth + t * embed + e];
    }
    static_cast<Data*>(p.grad_embedding)[(symbol + j) * embed + e] = to_data<Data>(total);
  }
}

}  // namespace

template <class Data>
__global__ void __launch_bounds__(kProductThreads) embedding_concat_linear_backward_products(Arguments a) {
  NAMEGEN_SHARED_MEMORY(memory);
  const ProductBlocks blocks = product_blocks(a.p);
  if (blockIdx.x < blocks.weight) {
    const int t = static_cast<int>(blockIdx.x / blocks.column_tiles);
    form_weight_gradient<Data>(a, t, blockIdx.x % blocks.column_tiles * kLanes + threadIdx.x % kLanes);
  } else {
    form_embedding_gradient<Data>(a, (blockIdx.x - blocks.weight) * kSymbols, reinterpret_cast<Compute<Data>*>(memory));
  }
}

namespace {

template <class Data, int Width>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const Plan& plan = a.plan;
  const auto& s = a.p.shape;
  const dim3 sum_blocks(plan.slabs, plan.chunks, static_cast<unsigned>(ceil_div(s.block, plan.group_positions)));
  cudaError_t error = launch(embedding_concat_linear_backward_sums<Data, Width>,
                             {sum_blocks, plan.warps * kLanes, plan.shared_bytes}, a, stream);
  if (error != cudaSuccess) return error;
  if (plan.chunks > 1) {
    const dim3 blocks(static_cast<unsigned>(ceil_div(s.block * s.vocab * s.hidden, kMergeThreads)));
    error = launch(embedding_concat_linear_backward_merge<Compute<Data>>, {blocks, kMergeThreads, 0}, a, stream);
    if (error != cudaSuccess) return error;
  }
  const ProductBlocks blocks = product_blocks(a.p);
  if (blocks.weight + blocks.embedding == 0) return cudaSuccess;
  return launch(
      embedding_concat_linear_backward_products<Data>,
      {dim3(static_cast<unsigned>(blocks.weight + blocks.embedding)), kProductThreads, plan.product_shared_bytes}, a,
      stream);
}

// The products are formed here up to so many symbols, since a thread goes through all of them in turn, and up to this
// depth T*E, whose sums a block holds.
constexpr int64_t kMostVocab = 512, kMostDepth = 2048;
constexpr int64_t kSmallScratch = 1 << 20;  // a call may always have so much
constexpr int64_t kLeastRun = 64;           // so many examples are worth a warp with sums of its own

}  // namespace

Plan plan_embedding_concat_linear_backward(DType type, const Backward& p, const Device& device) {
  const auto& s = p.shape;
  Plan plan{};
  const size_t compute = compute_size_of(type);
  // A lane has 8 bytes of a row, or 4 in half precision. If it had more, fewer warps would find room for their sums.
  plan.width = type == DType::kFloat64 ? 1 : 2;
  const size_t access = plan.width * size_of(type);
  if (s.hidden % plan.width != 0 || !is_aligned(p.grad_output, access) || !is_aligned(p.output, access)) plan.width = 1;
  const bool empty = s.batch == 0 || s.block == 0 || s.vocab == 0 || s.embed == 0 || s.hidden == 0;
  if (empty || s.vocab > kMostVocab || s.block * s.embed > kMostDepth || s.hidden > (1 << 24)) return plan;

  plan.slabs = static_cast<int>(ceil_div(s.hidden, kLanes * plan.width));
  plan.columns = static_cast<int>(round_up(ceil_div(s.hidden, plan.slabs), plan.width));
  plan.slabs = static_cast<int>(ceil_div(s.hidden, plan.columns));
  plan.warps = 4;
  plan.group_positions = static_cast<int>(s.block);
  const auto bytes = [&] {
    const int64_t rows = int64_t(plan.warps) * plan.group_positions * s.vocab;
    return rows * (plan.columns * compute + 1);
  };
  while (bytes() > size_t(device.shared_bytes)) {
    if (plan.warps > 1) {
      plan.warps /= 2;
    } else if (plan.group_positions > 1) {
      plan.group_positions = static_cast<int>(ceil_div(plan.group_positions, 2));
    } else {
      return plan;
    }
  }
  plan.shared_bytes = bytes();
  const int64_t side = smaller(s.block * s.embed, kProductThreads), row_groups = kProductThreads / side;
  plan.product_shared_bytes = row_groups * kSymbols * s.block * s.embed * compute;
  if (plan.product_shared_bytes > size_t(device.shared_bytes)) return plan;

  // There are two blocks for each multiprocessor, and runs have a least length. The chunks take no more memory than the
  // unfused layers take for the concatenated embeddings and one more output.
  const int64_t groups = ceil_div(s.block, plan.group_positions);
  const int64_t sums_bytes = s.block * s.vocab * (s.hidden * compute + 1);
  const int64_t unfused = s.batch * (s.block * s.embed + s.hidden) * size_of(type);
  const int64_t by_memory = larger(kSmallScratch, unfused) / sums_bytes;
  if (by_memory < 1) return plan;
  const int64_t by_device = 2 * device.multiprocessors / (plan.slabs * groups),
                by_run = s.batch / (plan.warps * kLeastRun);
  plan.chunks = static_cast<int>(larger(1, smaller(smaller(by_memory, 65535), smaller(by_device, by_run))));
  if (groups > 65535) return plan;
  plan.scratch_bytes = plan.chunks * sums_bytes;
  plan.by_table = true;
  return plan;
}

cudaError_t embedding_concat_linear_backward(DType type, const Backward& p, const Plan& plan, void* scratch,
                                             cudaStream_t stream) {
  if (!plan.by_table) return cudaErrorInvalidValue;
  const int64_t sums_bytes = plan.chunks * p.shape.block * p.shape.vocab * p.shape.hidden * compute_size_of(type);
  const Arguments a{p, plan, scratch, static_cast<unsigned char*>(scratch) + sums_bytes};
  return with_data_type(type, [&](auto data) {
    using Data = decltype(data);
    constexpr int kWidth = sizeof(Data) == 8 ? 1 : 2;
    return plan.width == 1 ? run<Data, 1>(a, stream) : run<Data, kWidth>(a, stream);
  });
}

}  // namespace namegen::cuda
