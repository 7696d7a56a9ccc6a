// Draws symbols from rows of thresholds. No branch depends on what is drawn, so that the CPU can work at several names
// at once. A name that has ended draws on to the end of its four symbols, into cells that nobody reads.
#include "engine/sampling/cpu/pick.h"
#include "engine/sampling/cpu/sampling_kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {

namespace {

template <class Pick, class Cell>
int64_t turn(const sampling::TableTurn& p) {
  constexpr int kTurn = sampling::kTurn;
  int64_t going_on = 0;
  for (int64_t i = 0; i < p.active; ++i) {
    uint32_t row = p.row[i];
    const uint32_t slot = p.slot[i];
    Cell* cells = static_cast<Cell*>(p.cells) + slot * p.cell_stride + p.position;
    uint32_t ends = 1u << kTurn;  // bit j: the j-th symbol is an end
#pragma GCC unroll 4
    for (int j = 0; j < kTurn; ++j) {
      const uint32_t symbol = draw_symbol<Pick>(p.rows, row, p.words[j * p.stride + i]);
      ends |= static_cast<uint32_t>(symbol == 0) << j;
      cells[j] = static_cast<Cell>(p.code[symbol]);
      row = p.next[row] + symbol;
    }
    const int letters = __builtin_ctz(ends);
    p.length[slot] = p.position + letters;
    p.row[going_on] = row;
    p.slot[going_on] = slot;
    going_on += letters == kTurn;
  }
  return going_on;
}

}  // namespace

int64_t table_turn(const sampling::TableTurn& p) {
  return with_pick(p.rows.width, [&](auto pick) {
    return p.cell_bytes == 1 ? turn<decltype(pick), uint8_t>(p) : turn<decltype(pick), uint16_t>(p);
  });
}

void draw_from_rows(const sampling::RowDraws& p) {
  with_pick(p.rows.width, [&](auto pick) {
    for (int64_t i = 0; i < p.count; ++i) p.symbol[i] = draw_symbol<decltype(pick)>(p.rows, p.row[i], p.word[i]);
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
