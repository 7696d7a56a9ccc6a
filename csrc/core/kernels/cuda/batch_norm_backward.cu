// The gradients of batch_norm, by channel. With dz = dy * (1 - y^2) for tanh and dz = dy without,
// g = weight * invstd and xhat = (x - mean) * invstd:
//
//   db = sum dz,  dw = sum dz * xhat,
//   dx = g * (dz - db / N - xhat * dw / N)   in training, where mean and invstd depend on x (Ioffe and Szegedy 2015),
//   dx = g * dz                              in evaluation.
//
// The first pass forms the two sums, the second forms dx. Between them, dz and x stay in shared memory as far as they
// fit. Rows that do not fit are read again, the last rows first.
#include "kernels/cuda/batch_norm_slabs.h"

namespace namegen::cuda {
namespace {

using Backward = BatchNormBackward;

struct Arguments {
  Backward p;
  BatchNormPlan plan;
  bool sums;       // whether the first pass is wanted
  void* partials;  // (chunks, 2, C) compute
};

// The number of rows that a thread reads at a time.
template <class Data>
constexpr int kPieceRows = sizeof(Data) == 2 ? 2 : 4;

// What is kept between the passes, (kept_rows, columns) each.
template <class Data>
struct Kept {
  Compute<Data>* dz;
  Data* x;
};

// x and dz of one row, in the thread's columns.
template <class Data, int Width>
struct Row {
  Values<Data, Width> x, y, dy;

  __device__ void load(const Backward& p, int64_t at) {
    dy = load_values<Width>(static_cast<const Data*>(p.grad_output) + at);
    x = load_values<Width>(static_cast<const Data*>(p.input) + at);
    if (p.activation == Activation::kTanh) y = load_values<Width>(static_cast<const Data*>(p.output) + at);
  }
  __device__ Compute<Data> dz(const Backward& p, int j) const {
    const Compute<Data> gradient = to_compute(dy.at[j]);
    if (p.activation != Activation::kTanh) return gradient;
    const Compute<Data> value = to_compute(y.at[j]);
    return gradient * (1 - value * value);
  }
};

// Forms the sums of dz and of dz * (x - mean) over the thread's rows of the chunk. `start` is the chunk's first element
// in the thread's columns.
template <class Data, int Width>
__device__ void sums_of_chunk(const Arguments& a, const Place& place, int64_t start, int rows, const Kept<Data>& kept,
                              const Compute<Data> (&mean)[Width], TwoSums<Compute<Data>> (&found)[Width]) {
  using T = Compute<Data>;
  constexpr int kPiece = kPieceRows<Data>;
  for (int r = place.group; r < rows; r += kPiece * place.groups) {
    Row<Data, Width> piece[kPiece];
#pragma unroll
    for (int u = 0; u < kPiece; ++u) {
      const int row = r + u * place.groups;
      if (row < rows) piece[u].load(a.p, start + row * a.p.channels);
    }
#pragma unroll
    for (int u = 0; u < kPiece; ++u) {
      const int row = r + u * place.groups;
      if (row >= rows) continue;
      T dz[Width];
#pragma unroll
      for (int j = 0; j < Width; ++j) {
        dz[j] = piece[u].dz(a.p, j);
        found[j].first += dz[j];
        found[j].second += dz[j] * (to_compute(piece[u].x.at[j]) - mean[j]);
      }
      if (row < a.plan.kept_rows) {
        const int at = row * a.plan.columns + place.lane * Width;
        store_compute(kept.dz + at, dz);
        store_values(kept.x + at, piece[u].x);
      }
    }
  }
}

// dx = dz * g - a - (x - mean) * b. Group 0 finds g, a and b, (columns) each, for all of the block.
template <class T, int Width>
__device__ void finish_sums(const Arguments& a, const Place& place, const TwoSums<T> (&found)[Width], T* shared) {
  const Backward& p = a.p;
#pragma unroll
  for (int j = 0; j < Width; ++j) {
    const int64_t column = place.column + j;
    const int at = place.lane * Width + j;
    const T invstd = static_cast<const T*>(p.invstd)[column];
    const T weight = p.weight != nullptr ? static_cast<const T*>(p.weight)[column] : T(1);
    const T g = weight * invstd;
    shared[at] = g;
    shared[a.plan.columns + at] = p.training ? found[j].first / T(p.rows) * g : T(0);
    shared[2 * a.plan.columns + at] = p.training ? found[j].second / T(p.rows) * (invstd * invstd) * g : T(0);
    if (blockIdx.y > 0) continue;
    if (p.grad_bias != nullptr) static_cast<T*>(p.grad_bias)[column] = found[j].first;
    if (p.grad_weight != nullptr) static_cast<T*>(p.grad_weight)[column] = found[j].second * invstd;
  }
}

template <class T, int Width>
struct InputGradient {
  T g[Width], a[Width], b[Width];

  __device__ InputGradient(const T* shared, int columns, int first) {
    load_compute(shared + first, g);
    load_compute(shared + columns + first, a);
    load_compute(shared + 2 * columns + first, b);
  }
  template <class Data>
  __device__ void write(const T (&dz)[Width], const Values<Data, Width>& x, const T (&mean)[Width], bool training,
                        Data* to) const {
    T dx[Width];
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      // In evaluation an infinite x must not turn the gradient to NaN.
      dx[j] = training ? dz[j] * g[j] - a[j] - (to_compute(x.at[j]) - mean[j]) * b[j] : dz[j] * g[j];
    }
    store_data<Data>(to, dx);
  }
};

}  // namespace

template <class Data, int Width>
__global__ void __launch_bounds__(kBatchNormThreads) batch_norm_backward_kernel(Arguments a) {
  using T = Compute<Data>;
  NAMEGEN_SHARED_MEMORY(memory);
  const Backward& p = a.p;
  const Place place = place_of<Width>(a.plan, p.channels);
  const int64_t first = first_row(p.rows, blockIdx.y, a.plan.chunks);
  const int rows = static_cast<int>(first_row(p.rows, blockIdx.y + 1, a.plan.chunks) - first);
  const int64_t start = first * p.channels + place.column;
  T* coefficients = reinterpret_cast<T*>(memory);  // (3, columns): the coefficients of dx
  const MergeMemory<T> merging =
      merge_memory<T>(memory + round_up(3 * a.plan.columns * sizeof(T), 16), place.groups, a.plan.columns);
  T* kept_dz = reinterpret_cast<T*>(merging.end);
  const Kept<Data> kept{kept_dz, reinterpret_cast<Data*>(kept_dz + a.plan.kept_rows * a.plan.columns)};

  T mean[Width] = {};
  if (place.active) {
#pragma unroll
    for (int j = 0; j < Width; ++j) mean[j] = static_cast<const T*>(p.mean)[place.column + j];
  }
  TwoSums<T> found[Width] = {};
  if (a.sums) {
    if (place.active) sums_of_chunk<Data, Width>(a, place, start, rows, kept, mean, found);
    merge_all(a.plan, p.rows, p.channels, place, merging, static_cast<T*>(a.partials), found);
  }
  if (place.active && place.group == 0) finish_sums(a, place, found, coefficients);
  __syncthreads();
  if (!place.active || p.grad_input == nullptr) return;

  const InputGradient<T, Width> gradient(coefficients, a.plan.columns, place.lane * Width);
  Data* grad_input = static_cast<Data*>(p.grad_input) + start;
  const int kept_rows = static_cast<int>(smaller(rows, a.plan.kept_rows));
  const int kept_by_group = static_cast<int>(rows_of_group(kept_rows, place.group, place.groups));
  const int own = static_cast<int>(rows_of_group(rows, place.group, place.groups));
  constexpr int kAhead = 2;
  for (int i = own - 1; i >= kept_by_group; i -= kAhead) {  // the rows that were not kept, the last one first
    Row<Data, Width> piece[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t row = place.group + int64_t(i - u) * place.groups;
      if (i - u >= kept_by_group) piece[u].load(p, start + row * p.channels);
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      if (i - u < kept_by_group) continue;
      const int64_t row = place.group + int64_t(i - u) * place.groups;
      T dz[Width];
#pragma unroll
      for (int j = 0; j < Width; ++j) dz[j] = piece[u].dz(p, j);
      gradient.write(dz, piece[u].x, mean, p.training, grad_input + row * p.channels);
    }
  }
  for (int i = 0; i < kept_by_group; ++i) {
    const int row = place.group + i * place.groups, at = row * a.plan.columns + place.lane * Width;
    T dz[Width];
    load_compute(kept.dz + at, dz);
    gradient.write(dz, load_values<Width>(kept.x + at), mean, p.training, grad_input + int64_t(row) * p.channels);
  }
}

namespace {

bool wants_sums(const Backward& p) {
  return p.grad_weight != nullptr || p.grad_bias != nullptr || (p.training && p.grad_input != nullptr);
}

}  // namespace

BatchNormPlan plan_batch_norm_backward(DType type, const Backward& p, const Device& device) {
  const bool aligned = is_aligned(p.input, 16) && is_aligned(p.output, 16) && is_aligned(p.grad_output, 16) &&
                       is_aligned(p.grad_input, 16);
  const int64_t kept = p.grad_input != nullptr ? compute_size_of(type) + size_of(type) : 0;
  // The coefficients stand before the arrays that the forward pass has too.
  const auto coefficients = [&](const BatchNormPlan& plan) {
    return round_up(3 * plan.columns * compute_size_of(type), 16);
  };
  const Device less{
      device.multiprocessors,
      device.shared_bytes - static_cast<int>(3 * kMostColumnsBytes / size_of(type) * compute_size_of(type))};
  BatchNormPlan plan = plan_batch_norm(type, p.rows, p.channels, aligned, wants_sums(p), kept, less);
  plan.shared_bytes += coefficients(plan);
  return plan;
}

cudaError_t batch_norm_backward(DType type, const Backward& p, const BatchNormPlan& plan, void* scratch,
                                cudaStream_t stream) {
  if (p.rows == 0 || p.channels == 0) return cudaErrorInvalidValue;
  if (!wants_sums(p) && p.grad_input == nullptr) return cudaSuccess;
  const Grid grid{dim3(plan.slabs, plan.chunks), plan.threads, plan.shared_bytes, plan.cooperative};
  const Arguments a{p, plan, wants_sums(p), scratch};
  return with_data_type(type, [&](auto data) {
    using Data = decltype(data);
    return plan.width == 1 ? launch(batch_norm_backward_kernel<Data, 1>, grid, a, stream)
                           : launch(batch_norm_backward_kernel<Data, kFullWidth<Data>>, grid, a, stream);
  });
}

}  // namespace namegen::cuda
