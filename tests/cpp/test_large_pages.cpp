// Asking for large pages must change nothing but the pages. Arrays of all sizes and places keep what they hold, and so
// does the memory beside them.
#include "kernels/cpu/large_pages.h"

#include <memory>

#include "support.h"

using namegen::cpu::ask_for_large_pages;
using namegen::cpu::kLargePage;
using namegen::test::check;

int main() {
  constexpr size_t kBytes = 12 * kLargePage;
  const std::unique_ptr<unsigned char, namegen::cpu::FreeAligned> memory(
      static_cast<unsigned char*>(namegen::cpu::allocate_aligned(kLargePage, kBytes)));
  const auto expected = [](size_t i) { return static_cast<unsigned char>(i * 7 + i / 4096); };
  if (memory == nullptr) return 1;
  for (size_t i = 0; i < kBytes; ++i) memory.get()[i] = expected(i);
  for (const size_t offset : {size_t{0}, size_t{64}, size_t{4096}, kLargePage - 64, kLargePage + 1}) {
    for (const size_t bytes :
         {size_t{0}, size_t{1}, kLargePage, 4 * kLargePage - 1, 4 * kLargePage, 9 * kLargePage + 5}) {
      ask_for_large_pages(memory.get() + offset, bytes);
    }
  }
  bool same = true;
  for (size_t i = 0; i < kBytes; ++i) same = same && memory.get()[i] == expected(i);
  check(same, "what the arrays hold");
  ask_for_large_pages(nullptr, 0);
  return namegen::test::result("large_pages");
}
