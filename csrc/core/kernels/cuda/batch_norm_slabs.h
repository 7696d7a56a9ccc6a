// What the forward and the backward kernel of batch_norm share: how columns are divided into slabs and rows into
// chunks, and how the findings of the threads of a column are merged, in a fixed order.
#pragma once

#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/values.h"

namespace namegen::cuda {

constexpr int kBatchNormThreads = 512;

// ---- merging --------------------------------------------------------------------------------------------------------

// The sums of two quantities. They merge by addition.
template <class T>
struct TwoSums {
  T first, second;
  static __host__ __device__ TwoSums merged(const TwoSums& a, int64_t, const TwoSums& b, int64_t) {
    return {a.first + b.first, a.second + b.second};
  }
};

// Mean and sum of squared deviations. They merge by Chan, Golub and LeVeque (1979): M = M_a + M_b + delta^2 n_a n_b /
// n.
template <class T>
struct MeanAndDeviations {
  T first, second;
  static __host__ __device__ MeanAndDeviations merged(const MeanAndDeviations& a, int64_t n_a,
                                                      const MeanAndDeviations& b, int64_t n_b) {
    if (n_b == 0) return a;
    if (n_a == 0) return b;
    const T delta = b.first - a.first;
    const T share = T(n_b) / T(n_a + n_b);
    return {a.first + delta * share, a.second + b.second + delta * delta * (T(n_a) * share)};
  }
};

// Where a thread stands. It owns some columns of the slab. The groups of threads of a block share the rows of the
// chunk: row r belongs to group r % groups.
struct Place {
  int lanes, groups;  // of the block
  int lane, group;    // of the thread
  int64_t column;     // the first of the thread's columns
  bool active;        // whether the thread has any column
};
template <int Width>
__device__ Place place_of(const BatchNormPlan& plan, int64_t channels) {
  Place place;
  place.lanes = plan.columns / Width;
  place.groups = blockDim.x / place.lanes;
  place.lane = threadIdx.x % place.lanes;
  place.group = threadIdx.x / place.lanes;
  place.column = int64_t(blockIdx.x) * plan.columns + place.lane * Width;
  place.active = place.group < place.groups && place.column < channels;
  return place;
}

__host__ __device__ inline int64_t first_row(int64_t rows, int64_t chunk, int64_t chunks) {
  return rows * chunk / chunks;
}
// How many of `rows` rows belong to a group.
__host__ __device__ inline int64_t rows_of_group(int64_t rows, int64_t group, int64_t groups) {
  return group < rows ? (rows - group + groups - 1) / groups : 0;
}

// Shared memory for merging: the findings of all groups, and how many values each is about.
template <class T>
struct MergeMemory {
  T* first;         // (groups, columns)
  T* second;        // (groups, columns)
  int64_t* counts;  // (groups)
  unsigned char* end;
};
// The bytes of that memory, a multiple of 16.
__host__ __device__ inline int64_t merge_bytes(int64_t groups, int64_t columns, int64_t compute_size) {
  return round_up(2 * groups * columns * compute_size + groups * int64_t(sizeof(int64_t)), 16);
}
template <class T>
__device__ MergeMemory<T> merge_memory(unsigned char* memory, int groups, int columns) {
  T* first = reinterpret_cast<T*>(memory);
  T* second = first + groups * columns;
  return {first, second, reinterpret_cast<int64_t*>(second + groups * columns),
          memory + merge_bytes(groups, columns, sizeof(T))};
}

template <class Found, class T, int Width>
__device__ void store_found(const Place& place, const Found (&found)[Width], int64_t n, const MergeMemory<T>& memory) {
  T first[Width], second[Width];
#pragma unroll
  for (int j = 0; j < Width; ++j) {
    first[j] = found[j].first;
    second[j] = found[j].second;
  }
  const int at = (place.group * place.lanes + place.lane) * Width;
  store_compute(memory.first + at, first);
  store_compute(memory.second + at, second);
  if (place.lane == 0) memory.counts[place.group] = n;
}

// Merges the findings of the first `groups` groups, by a tree. Each group's is about `n` values of its own. Group 0
// gets the result. All threads of the block must call it.
template <class Found, class T, int Width>
__device__ void merge_groups(const Place& place, int groups, int64_t n, const MergeMemory<T>& memory,
                             Found (&found)[Width]) {
  if (place.active) store_found(place, found, n, memory);
  int span = 1;
  while (span < groups) span *= 2;
  __syncthreads();
  for (span /= 2; span > 0; span /= 2) {
    const int other = place.group + span;
    if (place.active && place.group < span && other < groups) {
      T first[Width], second[Width];
      const int at = (other * place.lanes + place.lane) * Width;
      load_compute(memory.first + at, first);
      load_compute(memory.second + at, second);
      const int64_t n_other = memory.counts[other];
#pragma unroll
      for (int j = 0; j < Width; ++j) found[j] = Found::merged(found[j], n, {first[j], second[j]}, n_other);
      n += n_other;
      store_found(place, found, n, memory);
    }
    __syncthreads();
  }
}

// Merges the findings of this block's groups, then those of the blocks of all chunks. Group 0 of every block gets the
// result. `partials` is (chunks, 2, C) of T in global memory.
template <class Found, class T, int Width>
__device__ void merge_all(const BatchNormPlan& plan, int64_t rows, int64_t channels, const Place& place,
                          const MergeMemory<T>& memory, T* partials, Found (&found)[Width]) {
  const int64_t chunk = blockIdx.y, chunks = plan.chunks;
  const auto rows_of_chunk = [&](int64_t c) { return first_row(rows, c + 1, chunks) - first_row(rows, c, chunks); };
  merge_groups(place, place.groups, rows_of_group(rows_of_chunk(chunk), place.group, place.groups), memory, found);
  if (chunks == 1) return;
  if (place.active && place.group == 0) {
    T* own = partials + chunk * 2 * channels + place.column;
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      own[j] = found[j].first;
      own[channels + j] = found[j].second;
    }
  }
  wait_for_grid();
  // A group takes one chunk or, where there are more chunks than groups, every groups-th chunk. Without columns, none.
  const int64_t end = place.active ? chunks : 0;
  int64_t n = 0;
  for (int64_t c = place.group; c < end; c += place.groups) {
    const T* other = partials + c * 2 * channels + place.column;
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const Found next = {load_past_l1(other + j), load_past_l1(other + channels + j)};
      found[j] = n == 0 ? next : Found::merged(found[j], n, next, rows_of_chunk(c));
    }
    n += rows_of_chunk(c);
  }
  merge_groups(place, static_cast<int>(smaller(chunks, place.groups)), n, memory, found);
}

// ---- dividing the work ----------------------------------------------------------------------------------------------

// Up to so many rows, one block takes a whole slab. It then waits for no other block.
constexpr int64_t kFewRows = 2048;
constexpr int64_t kFewColumnsBytes = 64;    // of a slab's row, for few rows: this makes many blocks
constexpr int64_t kSectorBytes = 32;        // the device's memory is read in pieces of this size
constexpr int64_t kLeastChunk = 256;        // so many rows are worth a block
constexpr int64_t kMostChunks = 32;         // each block reads the findings of all chunks at the end
constexpr int64_t kMostColumnsBytes = 256;  // of a slab's row: enough for whole sectors, few enough for many groups

// `sums` says whether the call sums over rows (training, or gradients of the parameters). `kept_bytes` is the size of a
// value that is kept in shared memory between the passes, 0 for none.
inline BatchNormPlan plan_batch_norm(DType type, int64_t rows, int64_t channels, bool aligned, bool sums,
                                     int64_t kept_bytes, const Device& device) {
  BatchNormPlan plan{};
  const int64_t size = size_of(type), compute = compute_size_of(type), full = 16 / size;
  plan.width = static_cast<int>(aligned && channels % full == 0 ? full : 1);
  const int64_t sector = kSectorBytes / size;
  const int64_t most_chunks = !sums ? 65535 : rows <= kFewRows ? 1 : smaller(kMostChunks, rows / kLeastChunk);
  if (sums && rows <= kFewRows) {
    plan.columns = static_cast<int>(smaller(kFewColumnsBytes / size, round_up(channels, sector)));
    plan.chunks = 1;
  } else {
    // Chooses the width of a slab that leaves the fewest multiprocessors without work.
    double best = -1;
    for (int64_t columns = sector; columns <= kMostColumnsBytes / size; columns += sector) {
      const int64_t slabs = ceil_div(channels, columns);
      const int64_t chunks = larger(1, smaller(most_chunks, device.multiprocessors / slabs));
      const double rounds = double(ceil_div(slabs * chunks, device.multiprocessors));
      const double used = double(slabs * chunks) / (rounds * device.multiprocessors);
      const double score = used * double(channels) / double(slabs * columns);
      if (score >= best) {
        best = score;
        plan.columns = static_cast<int>(columns);
        plan.chunks = static_cast<int>(chunks);
      }
    }
  }
  plan.slabs = static_cast<int>(ceil_div(channels, plan.columns));
  const int64_t lanes = plan.columns / plan.width;
  if (!sums) {  // one pass: each thread has a few rows, and there are as many blocks as that takes
    const int64_t rows_of_block = kBatchNormThreads / lanes * 8;
    plan.chunks = static_cast<int>(larger(1, smaller(65535, ceil_div(rows, rows_of_block))));
  }
  const int64_t chunk_rows = ceil_div(rows, plan.chunks);
  plan.threads = static_cast<int>(smaller(kBatchNormThreads, round_up(lanes * chunk_rows, 32)));
  plan.cooperative = sums && plan.chunks > 1;
  plan.shared_bytes = 2 * plan.columns * compute;  // what a channel is normalised with
  if (sums) {
    plan.shared_bytes = merge_bytes(plan.threads / lanes, plan.columns, compute);
    if (kept_bytes > 0) {
      const int64_t room = (device.shared_bytes - int64_t(plan.shared_bytes)) / (plan.columns * kept_bytes);
      plan.kept_rows = static_cast<int>(larger(0, smaller(chunk_rows, room)));
      plan.shared_bytes += plan.kept_rows * plan.columns * kept_bytes;
    }
    plan.scratch_bytes = plan.cooperative ? plan.chunks * 2 * channels * compute : 0;
  }
  return plan;
}

}  // namespace namegen::cuda
