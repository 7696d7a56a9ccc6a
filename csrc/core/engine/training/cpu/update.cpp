// The update pass, and the second copy of the weights.
#include "engine/training/cpu/passes.h"
#include "kernels/cpu/add_arrays.h"
#include "kernels/cpu/optimizers.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// Calls body(first, count) for slices of offsets [begin, end), on several threads where `work` operations a value are
// worth it.
template <class T, class Body>
void for_slices(StepState<T>& s, int64_t begin, int64_t end, int64_t work, const Body& body) {
  constexpr int64_t kSlice = 4096;
  const double micros = double(end - begin) * double(work) / kFlopsPerMicro;
  parallel_for(s.context, ceil_div(end - begin, kSlice), micros, [&](int64_t task) {
    const int64_t first = begin + task * kSlice;
    body(first, smaller(kSlice, end - first));
  });
}

template <class T>
void add_partials(StepState<T>& s, int64_t first, int64_t count, int64_t partials) {
  if (partials == 0) return;
  add_arrays(s.gradient(first), s.chunk_gradient(1, first), partials, s.layout.size - s.layout.shared, count);
}

// Moves the parameters at offsets [begin, end). Their gradients are the sum of 1 + `partials` arrays.
template <class T>
void update_range(StepState<T>& s, int64_t begin, int64_t end, int64_t partials, const UpdateStep& step) {
  for_slices(s, begin, end, 4 + partials, [&](int64_t first, int64_t count) {
    add_partials(s, first, count, partials);
    const UpdatePiece<T> piece{s.value(first), s.state_at(Slot::kFirstState, first),
                               s.state_at(Slot::kSecondState, first), s.gradient(first), count};
    update_values<T>(s.optimizer, piece, step);
  });
}

// The factor that brings the norm of all gradients down to the most that is allowed. What stands beyond a row's columns
// is left out.
template <class T>
double clip_factor_of(const StepState<T>& s) {
  double squares = 0;
  for (int64_t p = 0; p < s.layout.place_count; ++p) {
    const Place& place = s.layout.places[p];
    squares += sum_of_squares(s.gradient(place.offset), place.transposed ? place.columns : place.rows,
                              place.transposed ? place.rows : place.columns, place.stride);
  }
  return clip_factor(s.optimizer.most_norm, __builtin_sqrt(squares));
}

}  // namespace

template <class T>
void update(StepState<T>& s) {
  int64_t partials = s.chunks() - 1;
  double scale = 1;
  if (s.optimizer.most_norm > 0) {
    for_slices(s, s.layout.shared, s.layout.size, 1 + partials,
               [&](int64_t first, int64_t count) { add_partials(s, first, count, partials); });
    partials = 0;
    scale = clip_factor_of(s);
  }
  const UpdateStep step(s.optimizer, s.learning_rate, s.updates, scale);
  update_range(s, 0, s.update_at_once ? s.layout.first_weight : s.layout.shared, 0, step);
  update_range(s, s.layout.shared, s.update_at_once ? s.layout.other_weights : s.layout.size, partials, step);
  if (s.optimizer.averages) {
    for_slices(s, 0, s.layout.size, 3, [&](int64_t first, int64_t count) {
      update_average(s.state_at(Slot::kAverage, first), s.value(first), count, T(s.average_share));
    });
  }
  transpose_weights(s, s.context);
}

template <class T>
void transpose_weights(StepState<T>& s, Context& context) {
  for (int64_t l = 1; l < s.num_levels(); ++l) {  // the backward pass of the first level reads the weight as it lies
    const LinearLayout& linear = s.layout.levels[l].linear;
    const double micros = double(linear.outputs) * linear.transposed_stride() / 1e4;
    parallel_for(context, ceil_div(linear.outputs, kWidth<T>), micros,
                 [&](int64_t task) { transpose_weight<T>(linear, task * kWidth<T>, s.value(0), s.transposed.data()); });
  }
}

template void update(StepState<float>&);
template void update(StepState<double>&);
template void transpose_weights(StepState<float>&, Context&);
template void transpose_weights(StepState<double>&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
