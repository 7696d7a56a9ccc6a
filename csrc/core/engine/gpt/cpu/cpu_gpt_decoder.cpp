// The GPT's decoder of one instruction set. A layer goes over all positions twice: first it writes their keys and
// values to their rows, then each position attends to the rows of its path. So positions of one call may stand on each
// other's paths.
#include "engine/gpt/gpt_decoder.h"

#include <stdexcept>

#include "engine/gpt/cpu/activations.h"
#include "engine/gpt/cpu/linear_rows.h"
#include "kernels/cpu/large_pages.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using engine::GptPositions;

// What a decoder holds, and what its decodings read.
template <class T>
struct DecoderWeights {
  const GptNetwork network;
  const GptLayout<T> layout;
  Array<T> values;
  Array<T> head;  // (E, V) in panels

  explicit DecoderWeights(const GptNetwork& network) : network(network), layout(network) {}
  void make_room() {
    if (values.size() > 0) return;
    values.resize(layout.size);
    head.resize(head_matrix().size());
  }
  PanelMatrix<T> head_matrix() const { return {network.embed, network.vocab}; }
  int64_t layer_stride() const { return 2 * padded<T>(network.embed); }  // of a row: keys, then values
  int64_t row_size() const { return network.layers * layer_stride(); }
  int64_t logits_stride() const {
    constexpr int64_t kLine = 16;  // as sampling::padded has it
    return ceil_div(network.vocab, kLine) * kLine;
  }
};

// Rows that are written before they are read: their memory is not touched until then.
template <class T>
class UntouchedRows {
 public:
  explicit UntouchedRows(int64_t count) {
    const size_t bytes = (static_cast<size_t>(count) * sizeof(T) + kLargePage - 1) / kLargePage * kLargePage;
    memory_ = static_cast<T*>(std::aligned_alloc(kLargePage, bytes));
    if (memory_ == nullptr) throw std::bad_alloc();
    ask_for_large_pages(memory_, bytes);
  }
  UntouchedRows(const UntouchedRows&) = delete;
  UntouchedRows& operator=(const UntouchedRows&) = delete;
  ~UntouchedRows() { std::free(memory_); }
  T* data() const { return memory_; }

 private:
  T* memory_;
};

template <class T>
class CpuGptDecoding final : public engine::GptDecoding {
 public:
  CpuGptDecoding(const DecoderWeights<T>& weights, int64_t rows, int64_t most_positions, int64_t most_wanted)
      : w_(weights),
        p_{weights.network, weights.layout, weights.values.data(), nullptr},
        network_(weights.network),
        rows_(rows * weights.row_size()) {
    const int64_t embed = network_.embed, block = smaller(larger(most_positions, most_wanted), kBlockNodes);
    for (RowArray<T>* array : {&x_, &query_}) array->reserve(most_positions, embed);
    for (RowArray<T>* array : {&xhat_, &y_, &attended_}) array->reserve(block, embed);
    projections_.reserve(block, 3 * embed);
    hidden_.reserve(block, network_.hidden);
    rstd_.resize(block);
    logits_.resize(most_wanted * weights.logits_stride());
    // Attention reads whole vectors of positions.
    const int64_t longest = larger(padded<T>(network_.block), 8);
    for (Array<T>* array : {&keys_, &values_}) array->resize(longest * padded<T>(embed));
    shares_.resize(network_.heads * longest + kWidth<T>);
  }

  const void* compute(const GptPositions& positions) override {
    embed_positions(positions);
    if (network_.embedding_norm) {
      for_blocks(positions.count, [&](int64_t first, int64_t count) {
        copy_rows(normed(w_.layout.embedding_norm, rows_from(x_, first), count), count, rows_from(x_, first));
      });
    }
    for (int64_t l = 0; l < network_.layers; ++l) {
      const GptLayer& layer = w_.layout.layers.data()[l];
      for_blocks(positions.count, [&](int64_t first, int64_t count) { project(layer, l, positions, first, count); });
      for_blocks(positions.count, [&](int64_t first, int64_t count) {
        attend_block(l, positions, first, count);
        add_linear_rows<T>(p_, layer.output, attended_, count, rows_from(x_, first));
        add_network(layer, first, count);
      });
    }
    for_blocks(positions.wanted_count, [&](int64_t first, int64_t count) { write_logits(positions, first, count); });
    return logits_.data();
  }

 private:
  template <class Body>
  static void for_blocks(int64_t count, const Body& body) {
    for (int64_t first = 0; first < count; first += kBlockNodes) body(first, smaller(kBlockNodes, count - first));
  }
  void copy_rows(const Rows<T>& from, int64_t count, const Rows<T>& to) const {
    for (int64_t r = 0; r < count; ++r) copy_row(from.row(r), padded<T>(network_.embed), to.row(r));
  }
  static Rows<T> rows_from(const Rows<T>& rows, int64_t first) { return rows.from(first); }

  // The keys of a position in a layer; its values follow them.
  T* keys_of(int64_t row, int64_t layer) const {
    return rows_.data() + row * w_.row_size() + layer * w_.layer_stride();
  }
  static int32_t own_row(const GptPositions& positions, int64_t i) {
    return positions.path[positions.path_begin[i] + positions.depth[i]];
  }

  void embed_positions(const GptPositions& positions) {
    const int64_t stride = padded<T>(network_.embed);
    for (int64_t i = 0; i < positions.count; ++i) {
      const T* token = w_.values.data() + w_.layout.token + positions.symbol[i] * stride;
      const T* position = w_.values.data() + w_.layout.position + positions.depth[i] * stride;
      for (int64_t c = 0; c < stride; c += kWidth<T>) store(x_.row(i) + c, load(token + c) + load(position + c));
    }
  }

  // The rows behind a norm: y_, or xhat_ where it has no weight.
  Rows<T> normed(const GptNorm& norm, const Rows<T>& x, int64_t count) {
    return normalise_rows<T>(p_.norm(norm), x, count, network_.embed, xhat_, rstd_.data(), y_);
  }

  // Queries, and keys and values, which go to the positions' rows.
  void project(const GptLayer& layer, int64_t l, const GptPositions& positions, int64_t first, int64_t count) {
    const int64_t embed = network_.embed;
    const Rows<T> wide = projections_;
    linear_rows<T>(p_, layer.projections, normed(layer.norm_1, rows_from(x_, first), count), count,
                   [=](int64_t r, int64_t c, Vec<T> value) { store(wide.row(r) + c, value); });
    for (int64_t r = 0; r < count; ++r) {
      T* keys = keys_of(own_row(positions, first + r), l);
      copy_row(wide.row(r), embed, query_.row(first + r));
      copy_row(wide.row(r) + embed, embed, keys);
      copy_row(wide.row(r) + 2 * embed, embed, keys + padded<T>(embed));
    }
  }

  void attend_block(int64_t l, const GptPositions& positions, int64_t first, int64_t count) {
    switch (head_vectors<T>(network_.embed / network_.heads)) {
      case HeadVectors::kOne:
        return attend_rows<HeadVectors::kOne>(l, positions, first, count);
      case HeadVectors::kWhole:
        return attend_rows<HeadVectors::kWhole>(l, positions, first, count);
      case HeadVectors::kPartial:
        return attend_rows<HeadVectors::kPartial>(l, positions, first, count);
    }
  }

  // Keys and values of a path are copied side by side. Of a path that begins as the one before does, the rest is.
  template <HeadVectors Heads>
  void attend_rows(int64_t l, const GptPositions& positions, int64_t first, int64_t count) {
    const int64_t embed = network_.embed, stride = padded<T>(embed);
    const AttentionShape shape{embed, network_.heads, embed / network_.heads};
    const T scale = T(1) / square_root(T(shape.head_size));
    const int32_t* before = nullptr;
    int64_t before_length = 0;
    for (int64_t r = 0; r < count; ++r) {
      const int32_t* path = positions.path + positions.path_begin[first + r];
      const int64_t length = positions.depth[first + r] + 1;
      int64_t same = 0;
      while (same < smaller(length, before_length) && path[same] == before[same]) ++same;
      for (int64_t j = same; j < length; ++j) {
        const T* keys = keys_of(path[j], l);
        copy_row(keys, embed, keys_.data() + j * stride);
        copy_row(keys + stride, embed, values_.data() + j * stride);
      }
      before = path;
      before_length = length;
      attend<Heads>(query_.row(first + r), keys_.data(), shape, scale, length, shares_.data());
      add_values<Heads != HeadVectors::kPartial>(shape, length, shares_.data(), path_stride<T>(length), values_.data(),
                                                 attended_.row(r));
    }
  }

  void add_network(const GptLayer& layer, int64_t first, int64_t count) {
    const Rows<T> x = rows_from(x_, first), hidden = hidden_;
    const Rows<T> input = normed(layer.norm_2, x, count);
    with_activation<T>(network_.activation, [&](const auto& activated) {
      linear_rows<T>(p_, layer.linear_1, input, count,
                     [=](int64_t r, int64_t c, Vec<T> value) { store(hidden.row(r) + c, activated(value).value); });
    });
    add_linear_rows<T>(p_, layer.linear_2, hidden, count, x);
  }

  void write_logits(const GptPositions& positions, int64_t first, int64_t count) {
    const int64_t logits_stride = w_.logits_stride();
    const Rows<T> chosen = attended_;
    for (int64_t r = 0; r < count; ++r) copy_rows(rows_from(x_, positions.wanted[first + r]), 1, rows_from(chosen, r));
    T* logits = logits_.data() + first * logits_stride;
    const Rows<T> input = network_.final_norm ? normed(w_.layout.norm, chosen, count) : chosen;
    multiply_panels<T>(input, count, w_.head_matrix(), w_.head.data(),
                       [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
                         store_vectors<decltype(nv)::value>(logits + r * logits_stride + column, sums);
                       });
  }

  const DecoderWeights<T>& w_;
  const GptParameters<T> p_;
  const GptNetwork& network_;
  UntouchedRows<T> rows_;
  RowArray<T> x_, query_;             // (positions, E)
  RowArray<T> xhat_, y_, attended_;   // (block, E)
  RowArray<T> projections_, hidden_;  // (block, 3E), (block, hidden)
  Array<T> rstd_;
  Array<T> keys_, values_, shares_;  // of one path: its keys and values, and how much a position attends to each
  Array<T> logits_;
};

template <class T>
class CpuGptDecoder final : public engine::GptDecoder {
 public:
  explicit CpuGptDecoder(const GptNetwork& network) : w_(network) {}

  int64_t parameter_count() const override { return w_.layout.places.size(); }
  ParameterShape parameter_shape(int64_t parameter) const override {
    return {place(parameter).rows, place(parameter).columns};
  }
  void take(int64_t parameter, const void* data) override {
    w_.make_room();
    const T* values = static_cast<const T*>(data);
    take_parameter(place(parameter), values, w_.values.data());
    if (place(parameter).offset == w_.layout.head) {
      take_parameter(GptPlace{0, w_.network.vocab, w_.network.embed, true}, values, w_.head.data());
    }
  }
  int64_t row_bytes() const override { return w_.row_size() * static_cast<int64_t>(sizeof(T)); }
  int64_t logits_stride() const override { return w_.logits_stride(); }
  engine::GptDecoding* start(int64_t rows, int64_t most_positions, int64_t most_wanted) const override {
    return new CpuGptDecoding<T>(w_, rows, most_positions, most_wanted);
  }

 private:
  const GptPlace& place(int64_t parameter) const { return w_.layout.places.data()[parameter]; }

  DecoderWeights<T> w_;
};

}  // namespace

engine::GptDecoder* make_gpt_decoder(const GptNetwork& network, DType dtype) {
  if (dtype == DType::kFloat32) return new CpuGptDecoder<float>(network);
  if (dtype == DType::kFloat64) return new CpuGptDecoder<double>(network);
  throw std::runtime_error("the GPT's decoder takes float32 and float64");
}

}  // namespace namegen::cpu::NAMEGEN_ISA
