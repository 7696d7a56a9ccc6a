// Which rows of a minibatch are equal: against maps of the standard library, over sizes where keys have a slot each,
// are hashed, and overflow 64 bits.
#include "engine/training/distinct_rows.h"

#include <map>

#include "support.h"

namespace distinct = namegen::cpu::NAMEGEN_ISA;
using namegen::test::check;
using namegen::test::TestContext;

namespace {

void test_distinct_rows(int64_t places, int64_t group, int64_t span, int64_t used) {
  std::mt19937 generator(static_cast<unsigned>(places + 7 * group + 31 * span));
  std::vector<int32_t> values(places * group);
  // The largest values, of which products overflow first.
  for (int32_t& value : values) value = static_cast<int32_t>(span - 1 - generator() % used);
  TestContext context(1);
  const distinct::DistinctRows rows = distinct::find_distinct_rows(values.data(), places, group, span, context);

  std::map<std::vector<int32_t>, int32_t> expected;
  std::vector<int32_t> repeats;
  bool same = true;
  for (int64_t i = 0; i < places; ++i) {
    const std::vector<int32_t> row(values.begin() + i * group, values.begin() + (i + 1) * group);
    const auto [found, is_new] = expected.try_emplace(row, static_cast<int32_t>(expected.size()));
    if (is_new) repeats.push_back(0);
    ++repeats[found->second];
    same = same && rows.row_of[i] == found->second;
    for (int64_t part = 0; same && part < group; ++part) same = rows.parts[rows.row_of[i] * group + part] == row[part];
  }
  const std::string what = std::to_string(places) + " places of " + std::to_string(group) + " values below " +
                           std::to_string(span) + ", " + std::to_string(used) + " of them used";
  check(rows.count == static_cast<int64_t>(expected.size()), what + ": number of rows");
  check(same, what + ": rows and what they are made of");
  for (int64_t r = 0; same && r < rows.count; ++r) same = rows.repeats[r] == repeats[r];
  check(same, what + ": repeats");
}

void test_lists() {
  const std::vector<int32_t> row_of = {2, 0, 2, 2, 0, 4};  // no member of rows 1 and 3
  TestContext context(1);
  const distinct::RowLists lists = distinct::list_by_row(row_of.data(), 6, 5, context);
  check(std::vector<int32_t>(lists.begin, lists.begin + 6) == std::vector<int32_t>{0, 2, 2, 5, 5, 6},
        "begins of lists");
  check(std::vector<int32_t>(lists.members, lists.members + 6) == std::vector<int32_t>{1, 4, 0, 2, 3, 5},
        "members of lists, in order");
}

}  // namespace

int main() {
  for (const int64_t places : {1, 2, 3, 32, 1000}) {
    for (const int64_t group : {1, 2, 3, 8, 16}) {
      for (const int64_t span : {2, 27, 300, 100000, INT32_MAX}) {
        for (const int64_t used : {1, 2, 27}) {
          if (used <= span) test_distinct_rows(places, group, span, used);
        }
      }
    }
  }
  test_lists();
  return namegen::test::result("distinct_rows");
}
