// y = activation(sum over t of P[t, token(n, t)]), with P[t, s] = C[s] @ W_t^T and the bias in the rows of position 0.
//
// A block takes a slab of columns and a chunk of examples. Where the slab's part of P fits into its shared memory, it
// forms that part by itself and then adds up rows. That takes one launch, x is never formed, and y is written once.
// Else P is formed in scratch memory first, and its rows are read through the L2 cache.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/values.h"

namespace namegen::cuda {
namespace {

using Forward = EmbeddingConcatLinearForward;
using Plan = EmbeddingConcatLinearForwardPlan;

struct Arguments {
  Forward p;
  Plan plan;
  void* scratch;  // (T*V, H) compute: P, where it does not stand in shared memory
};

constexpr int kSymbols = 8;  // symbols are padded to a multiple of this
template <class T>
constexpr int kSums = 32 / sizeof(T);  // a thread forms the sums of so many symbols at a time
constexpr int kScratchSymbols = 64;    // of a block that forms P in scratch memory

// What a block forms of P: columns [column, column + columns), symbols [symbol, symbol_end) and positions [position,
// position_end). Rows lie `pitch` apart, and row 0 is that of position 0 and symbol 0.
template <class T>
struct Part {
  int column, columns;
  int symbol, symbol_end;
  int position, position_end;
  T* rows;
  int64_t pitch;
};

// Forms a part of P. `memory` holds the part's symbols, then the weights of `tile_positions` positions.
template <class Data>
__device__ void form_table(const Forward& p, const Part<Compute<Data>>& part, int tile_positions,
                           unsigned char* memory) {
  using T = Compute<Data>;
  const int vocab = static_cast<int>(p.shape.vocab), embed = static_cast<int>(p.shape.embed);
  const int block = static_cast<int>(p.shape.block), hidden = static_cast<int>(p.shape.hidden);
  const Data* __restrict__ embedding = static_cast<const Data*>(p.embedding);
  const Data* __restrict__ weight = static_cast<const Data*>(p.linear_weight);
  const Data* __restrict__ bias = static_cast<const Data*>(p.linear_bias);
  const int symbols = part.symbol_end - part.symbol;
  const int padded = static_cast<int>(round_up(symbols, kSymbols)), groups = padded / kSums<T>;
  T* c = reinterpret_cast<T*>(memory);  // (E, padded): the symbols' embeddings, zero beyond them
  T* w = c + embed * padded;            // (positions * E, columns): the weights of a tile, zero beyond H

  for (int i = threadIdx.x; i < embed * padded; i += blockDim.x) {
    const int s = i / embed, e = i % embed;
    c[e * padded + s] = s < symbols ? to_compute(embedding[(part.symbol + s) * int64_t(embed) + e]) : T(0);
  }
  for (int first = part.position; first < part.position_end; first += tile_positions) {
    const int positions = static_cast<int>(smaller(tile_positions, part.position_end - first));
    const int depth = positions * embed;
    for (int i = threadIdx.x; i < depth * part.columns; i += blockDim.x) {
      const int h = i / depth, k = i % depth;
      const int64_t from = int64_t(part.column + h) * block * embed + first * embed + k;
      w[k * part.columns + h] = part.column + h < hidden ? to_compute(weight[from]) : T(0);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < positions * groups * part.columns; i += blockDim.x) {
      const int h = i % part.columns, group = i / part.columns % groups, t = i / (part.columns * groups);
      const bool with_bias = first + t == 0 && bias != nullptr && part.column + h < hidden;
      const T start = with_bias ? to_compute(bias[part.column + h]) : T(0);
      T sums[kSums<T>];
#pragma unroll
      for (int j = 0; j < kSums<T>; ++j) sums[j] = start;
      for (int e = 0; e < embed; ++e) {
        const T factor = w[(t * embed + e) * part.columns + h];
        T values[kSums<T>];
        load_compute(c + e * padded + group * kSums<T>, values);
#pragma unroll
        for (int j = 0; j < kSums<T>; ++j) sums[j] += factor * values[j];
      }
      if (part.column + h < hidden) {
#pragma unroll
        for (int j = 0; j < kSums<T>; ++j) {
          const int s = part.symbol + group * kSums<T> + j;
          if (s < part.symbol_end) part.rows[(int64_t(first + t) * vocab + s) * part.pitch + h] = sums[j];
        }
      }
    }
    __syncthreads();
  }
}

// y[n, columns of the slab] for the examples of the block's chunk. `rows` is P from the slab's first column on.
template <class Data, int Width>
__device__ void add_rows(const Arguments& a, int first_column, const Compute<Data>* rows, int64_t pitch) {
  using T = Compute<Data>;
  const Forward& p = a.p;
  const int vocab = static_cast<int>(p.shape.vocab), block = static_cast<int>(p.shape.block);
  const int lanes = a.plan.columns / Width, examples = blockDim.x / lanes;
  const int lane = threadIdx.x % lanes, example = threadIdx.x / lanes;
  const int64_t column = first_column + lane * Width;
  if (example >= examples || column >= p.shape.hidden) return;
  const int64_t first = p.shape.batch * blockIdx.y / a.plan.chunks;
  const int64_t end = p.shape.batch * (blockIdx.y + 1) / a.plan.chunks;
  Data* output = static_cast<Data*>(p.output) + column;
  rows += lane * Width;
  for (int64_t n = first + example; n < end; n += examples) {
    T z[Width];
    load_compute(rows + checked_token(p.tokens, p.token_type, n * block, vocab) * pitch, z);
    for (int t = 1; t < block; ++t) {
      const int token = checked_token(p.tokens, p.token_type, n * block + t, vocab);
      T row[Width];
      load_compute(rows + (int64_t(t) * vocab + token) * pitch, row);
#pragma unroll
      for (int j = 0; j < Width; ++j) z[j] += row[j];
    }
#pragma unroll
    for (int j = 0; j < Width; ++j) z[j] = activate(z[j], p.activation);
    store_data<Data>(output + n * p.shape.hidden, z);
  }
}

}  // namespace

constexpr int kMostThreads = 512;

template <class Data, int Width>
__global__ void __launch_bounds__(kMostThreads, 3) embedding_concat_linear_forward_shared(Arguments a) {
  using T = Compute<Data>;
  NAMEGEN_SHARED_MEMORY(memory);
  T* rows = reinterpret_cast<T*>(memory);  // (T*V, columns)
  const int column = blockIdx.x * a.plan.columns, vocab = static_cast<int>(a.p.shape.vocab);
  const int block = static_cast<int>(a.p.shape.block);
  form_table<Data>(a.p, {column, a.plan.columns, 0, vocab, 0, block, rows, a.plan.columns}, a.plan.tile_positions,
                   memory + a.plan.table_shared_bytes);
  add_rows<Data, Width>(a, column, rows, a.plan.columns);
}

template <class Data>
__global__ void __launch_bounds__(kMostThreads) embedding_concat_linear_forward_table(Arguments a) {
  using T = Compute<Data>;
  NAMEGEN_SHARED_MEMORY(memory);
  const int column = blockIdx.x * a.plan.columns, symbol = blockIdx.y * kScratchSymbols;
  const int end = static_cast<int>(smaller(symbol + kScratchSymbols, a.p.shape.vocab)), position = blockIdx.z;
  form_table<Data>(a.p,
                   {column, a.plan.columns, symbol, end, position, position + 1, static_cast<T*>(a.scratch) + column,
                    a.p.shape.hidden},
                   1, memory);
}

template <class Data, int Width>
__global__ void __launch_bounds__(kMostThreads) embedding_concat_linear_forward_scratch(Arguments a) {
  using T = Compute<Data>;
  const int column = blockIdx.x * a.plan.columns;
  add_rows<Data, Width>(a, column, static_cast<const T*>(a.scratch) + column, a.p.shape.hidden);
}

namespace {

template <class Data, int Width>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const Plan& plan = a.plan;
  const dim3 blocks(plan.slabs, plan.chunks);
  if (plan.table == Table::kShared) {
    return launch(embedding_concat_linear_forward_shared<Data, Width>, {blocks, plan.threads, plan.shared_bytes}, a,
                  stream);
  }
  const dim3 table_blocks(plan.slabs, static_cast<unsigned>(ceil_div(a.p.shape.vocab, kScratchSymbols)),
                          static_cast<unsigned>(a.p.shape.block));
  const cudaError_t error =
      launch(embedding_concat_linear_forward_table<Data>, {table_blocks, 256, plan.shared_bytes}, a, stream);
  if (error != cudaSuccess) return error;
  return launch(embedding_concat_linear_forward_scratch<Data, Width>, {blocks, plan.threads, 0}, a, stream);
}

// From so many examples on, a block is worth a wide slab of columns, whose part of P takes longer to form.
constexpr int64_t kLargeBatch = 4096;
constexpr int kWideSlab = 128, kNarrowSlab = 32;
constexpr int kMostDepth = 128;  // so many rows of weights stand in shared memory at a time
// P in scratch memory should stay in the L2 cache, which has 40 MB on the A100 and 50 MB on the H100. A row of P costs
// 4 bytes of the L2 cache for each output, and the plain product costs 2*E operations. From about this E on the row
// takes less time. That follows from the rates in the vendor's data sheets; it is not measured.
constexpr int64_t kMostScratch = 16 << 20;
constexpr int64_t kLeastEmbed = 16, kLeastEmbedOnTensorCores = 128, kMostScratchEmbed = 256;

Plan shared_plan(DType type, const Forward& p, const Device& device, Plan plan) {
  const auto& s = p.shape;
  const size_t compute = compute_size_of(type);
  const int64_t widest = s.batch >= kLargeBatch ? kWideSlab : kNarrowSlab;
  plan.slabs = static_cast<int>(ceil_div(s.hidden, widest));
  for (;; plan.slabs *= 2) {
    plan.columns = static_cast<int>(round_up(ceil_div(s.hidden, plan.slabs), larger(plan.width, 4)));
    plan.slabs = static_cast<int>(ceil_div(s.hidden, plan.columns));
    plan.tile_positions = static_cast<int>(larger(1, smaller(s.block, kMostDepth / s.embed)));
    const int64_t table = s.block * s.vocab * plan.columns;
    const int64_t symbols = s.embed * round_up(s.vocab, kSymbols);
    const int64_t weights = plan.tile_positions * s.embed * plan.columns;
    plan.table_shared_bytes = round_up(table * compute, 16);
    plan.shared_bytes = plan.table_shared_bytes + (symbols + weights) * compute;
    if (plan.shared_bytes <= size_t(device.shared_bytes)) break;
    if (plan.columns <= kNarrowSlab) return plan;  // Table::kNone
  }
  plan.table = Table::kShared;
  const int lanes = plan.columns / plan.width;
  plan.threads = s.batch >= kLargeBatch ? kMostThreads : 256;
  // There are as many blocks as the device holds at once. Shared memory limits these, and so do registers, of which the
  // kernel takes 40 a thread. More blocks would only form P more often.
  const int64_t by_memory = larger(1, device.shared_bytes / plan.shared_bytes);
  const int64_t resident = device.multiprocessors * smaller(by_memory, 1536 / plan.threads);
  const int64_t passes = ceil_div(s.batch, larger(1, plan.threads / lanes));
  plan.chunks = static_cast<int>(larger(1, smaller(passes, resident / plan.slabs)));
  return plan;
}

Plan scratch_plan(DType type, const Forward& p, const Device& device, Plan plan) {
  const auto& s = p.shape;
  const size_t compute = compute_size_of(type);
  const int64_t bytes = s.block * s.vocab * s.hidden * compute;
  const bool tensor_cores = type == DType::kFloat16 || type == DType::kBFloat16;
  const bool pays = s.vocab <= s.batch / 4 && s.embed >= (tensor_cores ? kLeastEmbedOnTensorCores : kLeastEmbed);
  if (!pays || bytes > kMostScratch || s.embed > kMostScratchEmbed || s.block > 65535 || s.hidden % plan.width != 0) {
    return plan;
  }
  plan.columns = static_cast<int>(smaller(round_up(s.hidden, plan.width), kNarrowSlab));
  plan.slabs = static_cast<int>(ceil_div(s.hidden, plan.columns));
  plan.table_shared_bytes = 0;
  plan.shared_bytes = s.embed * (kScratchSymbols + plan.columns) * compute;
  if (plan.shared_bytes > size_t(device.shared_bytes)) return plan;
  plan.table = Table::kScratch;
  plan.scratch_bytes = bytes;
  plan.threads = 256;
  plan.tile_positions = 1;
  const int64_t passes = ceil_div(s.batch, plan.threads / (plan.columns / plan.width));
  plan.chunks = static_cast<int>(larger(1, smaller(passes, device.multiprocessors * 8 / plan.slabs)));
  return plan;
}

}  // namespace

Plan plan_embedding_concat_linear_forward(DType type, const Forward& p, const Device& device) {
  const auto& s = p.shape;
  Plan plan{};
  const int full = static_cast<int>(16 / size_of(type));
  plan.width = s.hidden % full == 0 && is_aligned(p.output, 16) ? full : 1;
  const bool empty = s.batch == 0 || s.block == 0 || s.vocab == 0 || s.embed == 0 || s.hidden == 0;
  if (empty || s.hidden > (1 << 24) || s.block * s.vocab > (1 << 20) || s.embed > (1 << 14)) return plan;
  const Plan shared = shared_plan(type, p, device, plan);
  return shared.table == Table::kShared ? shared : scratch_plan(type, p, device, plan);
}

cudaError_t embedding_concat_linear_forward(DType type, const Forward& p, const Plan& plan, void* scratch,
                                            cudaStream_t stream) {
  if (plan.table == Table::kNone) return cudaErrorInvalidValue;
  const Arguments a{p, plan, scratch};
  return with_data_type(type, [&](auto data) {
    using Data = decltype(data);
    return plan.width == 1 ? run<Data, 1>(a, stream) : run<Data, kFullWidth<Data>>(a, stream);
  });
}

}  // namespace namegen::cuda
