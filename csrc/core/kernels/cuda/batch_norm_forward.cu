// y = activation((x - mean) * invstd * weight + bias), by channel, x (N, C).
//
// In training a thread owns some columns, and of the rows of its block's chunk those that its group has. It forms the
// mean and the squared deviations of a few rows at a time, by two passes over registers. Such pieces are merged, then
// threads, then chunks, in a fixed order. Rows are kept in shared memory until all statistics are known. Rows that do
// not fit are read again, the last ones first, since the L2 cache still has these.
#include "kernels/cuda/batch_norm_slabs.h"

namespace namegen::cuda {
namespace {

using Forward = BatchNormForward;

struct Arguments {
  Forward p;
  BatchNormPlan plan;
  void* partials;  // (chunks, 2, C) compute
};

// The number of rows that a thread reads at a time. float64 divides by a subroutine, which leaves it fewer registers.
template <class Data>
constexpr int kPieceRows = sizeof(Data) == 8 ? 4 : 8;

// Forms the mean and the squared deviations of the thread's columns over its rows of the chunk, which starts at row
// `first`. Keeps the rows below plan.kept_rows.
template <class Data, int Width>
__device__ void statistics_of_chunk(const Arguments& a, const Place& place, int64_t first, int rows, Data* kept,
                                    MeanAndDeviations<Compute<Data>> (&found)[Width]) {
  using T = Compute<Data>;
  using Found = MeanAndDeviations<T>;
  constexpr int kPiece = kPieceRows<Data>;
  const Data* input = static_cast<const Data*>(a.p.input) + first * a.p.channels + place.column;
  int before = 0;
  for (int r = place.group; r < rows; r += kPiece * place.groups) {
    Values<Data, Width> x[kPiece];
#pragma unroll
    for (int u = 0; u < kPiece; ++u) {
      if (r + u * place.groups < rows) x[u] = load_values<Width>(input + (r + u * place.groups) * a.p.channels);
    }
    int count = 0;
    T sums[Width] = {};
#pragma unroll
    for (int u = 0; u < kPiece; ++u) {
      const int row = r + u * place.groups;
      if (row >= rows) continue;
      ++count;
      if (row < a.plan.kept_rows) store_values(kept + row * a.plan.columns + place.lane * Width, x[u]);
#pragma unroll
      for (int j = 0; j < Width; ++j) sums[j] += to_compute(x[u].at[j]);
    }
    const T inverse = T(1) / T(count), share = T(count) / T(before + count);
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const T mean = sums[j] * inverse;
      T deviations = T(0);
#pragma unroll
      for (int u = 0; u < kPiece; ++u) {
        if (r + u * place.groups >= rows) continue;
        const T delta = to_compute(x[u].at[j]) - mean;
        deviations += delta * delta;
      }
      // This is Found::merged, with one share for all columns.
      const T delta = mean - found[j].first;
      found[j] = before == 0 ? Found{mean, deviations}
                             : Found{found[j].first + delta * share,
                                     found[j].second + deviations + delta * delta * (T(before) * share)};
    }
    before += count;
  }
}

// Group 0 turns the statistics into the mean and invstd of its columns. These go to `shared` (2, columns), for all of
// the block. One of the chunks writes them to global memory, with the running statistics.
template <class T, int Width>
__device__ void finish_statistics(const Arguments& a, const Place& place, const MeanAndDeviations<T> (&found)[Width],
                                  T* shared) {
  const Forward& p = a.p;
  const T momentum = static_cast<T>(p.momentum);
  T* running_mean = static_cast<T*>(p.running_mean);
  T* running_var = static_cast<T*>(p.running_var);
#pragma unroll
  for (int j = 0; j < Width; ++j) {
    const int64_t column = place.column + j;
    T mean, invstd;
    if (p.training) {
      mean = found[j].first;
      invstd = T(1) / sqrt(found[j].second / T(p.rows) + T(p.eps));
    } else {
      mean = running_mean[column];
      invstd = T(1) / sqrt(running_var[column] + T(p.eps));
    }
    shared[place.lane * Width + j] = mean;
    shared[a.plan.columns + place.lane * Width + j] = invstd;
    if (blockIdx.y > 0) continue;
    static_cast<T*>(p.mean)[column] = mean;
    static_cast<T*>(p.invstd)[column] = invstd;
    if (p.training && running_mean != nullptr) {
      running_mean[column] = running_mean[column] * (T(1) - momentum) + mean * momentum;
    }
    if (p.training && running_var != nullptr) {
      const T unbiased = found[j].second / T(p.rows - 1);
      running_var[column] = running_var[column] * (T(1) - momentum) + unbiased * momentum;
    }
  }
}

// What the columns of a thread are normalised with.
template <class T, int Width>
struct Normalisation {
  T mean[Width], scale[Width], bias[Width];

  __device__ Normalisation(const Arguments& a, const Place& place, const T* shared) {
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const int64_t column = place.column + j;
      mean[j] = shared[place.lane * Width + j];
      scale[j] = shared[a.plan.columns + place.lane * Width + j];
      if (a.p.weight != nullptr) scale[j] *= static_cast<const T*>(a.p.weight)[column];
      bias[j] = a.p.bias != nullptr ? static_cast<const T*>(a.p.bias)[column] : T(0);
    }
  }

  template <class Data>
  __device__ void write(const Values<Data, Width>& x, Activation activation, Data* y) const {
    T z[Width];
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      z[j] = activate((to_compute(x.at[j]) - mean[j]) * scale[j] + bias[j], activation);
    }
    store_data<Data>(y, z);
  }
};

}  // namespace

template <class Data, int Width>
__global__ void __launch_bounds__(kBatchNormThreads) batch_norm_forward_kernel(Arguments a) {
  using T = Compute<Data>;
  NAMEGEN_SHARED_MEMORY(memory);
  const Forward& p = a.p;
  const Place place = place_of<Width>(a.plan, p.channels);
  const int64_t first = first_row(p.rows, blockIdx.y, a.plan.chunks);
  const int rows = static_cast<int>(first_row(p.rows, blockIdx.y + 1, a.plan.chunks) - first);
  const MergeMemory<T> merging = merge_memory<T>(memory, place.groups, a.plan.columns);
  Data* kept = reinterpret_cast<Data*>(merging.end);  // (kept_rows, columns)
  T* normalised_with = reinterpret_cast<T*>(memory);  // (2, columns), after all is merged

  MeanAndDeviations<T> found[Width] = {};
  if (p.training) {
    if (place.active) statistics_of_chunk<Data, Width>(a, place, first, rows, kept, found);
    merge_all(a.plan, p.rows, p.channels, place, merging, static_cast<T*>(a.partials), found);
  }
  if (place.active && place.group == 0) finish_statistics(a, place, found, normalised_with);
  __syncthreads();
  if (!place.active) return;

  const Normalisation<T, Width> normalisation(a, place, normalised_with);
  const Data* input = static_cast<const Data*>(p.input) + first * p.channels + place.column;
  Data* output = static_cast<Data*>(p.output) + first * p.channels + place.column;
  const int kept_rows = static_cast<int>(smaller(rows, a.plan.kept_rows));
  const int kept_by_group = static_cast<int>(rows_of_group(kept_rows, place.group, place.groups));
  // The rows that were not kept, the last one first.
  const int own = static_cast<int>(rows_of_group(rows, place.group, place.groups));
  constexpr int kAhead = 4;
  for (int i = own - 1; i >= kept_by_group; i -= kAhead) {
    Values<Data, Width> x[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t row = place.group + int64_t(i - u) * place.groups;
      if (i - u >= kept_by_group) x[u] = load_values<Width>(input + row * p.channels);
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t row = place.group + int64_t(i - u) * place.groups;
      if (i - u >= kept_by_group) normalisation.write(x[u], p.activation, output + row * p.channels);
    }
  }
  for (int i = 0; i < kept_by_group; ++i) {
    const int row = place.group + i * place.groups;
    const auto x = load_values<Width>(kept + row * a.plan.columns + place.lane * Width);
    normalisation.write(x, p.activation, output + int64_t(row) * p.channels);
  }
}

BatchNormPlan plan_batch_norm_forward(DType type, const Forward& p, const Device& device) {
  const bool aligned = is_aligned(p.input, 16) && is_aligned(p.output, 16);
  const int64_t kept = p.training ? size_of(type) : 0;
  return plan_batch_norm(type, p.rows, p.channels, aligned, p.training, kept, device);
}

cudaError_t batch_norm_forward(DType type, const Forward& p, const BatchNormPlan& plan, void* scratch,
                               cudaStream_t stream) {
  if (p.rows == 0 || p.channels == 0) return cudaErrorInvalidValue;
  const Grid grid{dim3(plan.slabs, plan.chunks), plan.threads, plan.shared_bytes, plan.cooperative};
  const Arguments a{p, plan, scratch};
  return with_data_type(type, [&](auto data) {
    using Data = decltype(data);
    return plan.width == 1 ? launch(batch_norm_forward_kernel<Data, 1>, grid, a, stream)
                           : launch(batch_norm_forward_kernel<Data, kFullWidth<Data>>, grid, a, stream);
  });
}

}  // namespace namegen::cuda
