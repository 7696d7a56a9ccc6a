#include "engine/sampling/name_set.h"

#include <cstring>
#include <stdexcept>

namespace namegen::sampling {

namespace {

uint64_t load_word(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// The high and the low half of a product, folded, so that each bit of either factor reaches all bits.
uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

NameSet::NameSet() : slots_(1024), names_(kSlack, '\0') {}

void NameSet::reserve(size_t names, size_t bytes) {
  if (size_ > 0) return;
  size_t slots = slots_.size();
  while (slots < 2 * names) slots *= 2;
  slots_.assign(slots, 0);
  names_.reserve(bytes + kSlack);
}

uint64_t NameSet::hash(std::string_view name) {
  uint64_t state = 0x9E3779B97F4A7C15u ^ name.size();
  size_t i = 0;
  for (; i + 8 <= name.size(); i += 8) state = mix(state ^ load_word(name.data() + i), 0xD6E8FEB86659FD93u);
  // The last word is read whole, and the bytes behind the name are masked. The slack makes them readable.
  const int rest = static_cast<int>(name.size() - i);
  const uint64_t word = rest == 0 ? 0 : load_word(name.data() + i) & ~uint64_t{0} >> (64 - 8 * rest);
  return mix(state ^ word, 0xA0761D6478BD642Fu);
}

// The slot that holds the name, or the empty one where it belongs.
size_t NameSet::find(std::string_view name, uint64_t hash) const {
  const Slot tag = hash >> kPlaceBits;
  size_t i = hash & (slots_.size() - 1);
  for (; slots_[i] != 0; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i] >> kPlaceBits != tag) continue;
    const size_t place = (slots_[i] & ((Slot{1} << kPlaceBits) - 1)) - 1;
    if (place + name.size() >= names_.size()) continue;
    const char* candidate = names_.data() + place;
    // A name holds no newline, so a newline behind it says that the candidate ends there too.
    if (std::memcmp(candidate, name.data(), name.size()) == 0 && candidate[name.size()] == '\n') break;
  }
  return i;
}

bool NameSet::contains(std::string_view name, uint64_t hash) const { return slots_[find(name, hash)] != 0; }

bool NameSet::add(std::string_view name, uint64_t hash) {
  const size_t i = find(name, hash);
  if (slots_[i] != 0) return false;
  const Slot place = names_.size() - kSlack;
  if (place + 1 >= Slot{1} << kPlaceBits) throw std::length_error("a set of names holds at most 1 TiB");
  names_.resize(place);
  names_.append(name).append(1, '\n').append(kSlack, '\0');
  slots_[i] = hash >> kPlaceBits << kPlaceBits | (place + 1);
  ++size_;
  if (2 * static_cast<size_t>(size_) > slots_.size()) grow();
  return true;
}

void NameSet::grow() {
  slots_.assign(4 * slots_.size(), 0);
  const size_t end = names_.size() - kSlack;
  for (size_t place = 0; place < end;) {
    const char* start = names_.data() + place;
    const size_t length = static_cast<const char*>(std::memchr(start, '\n', end - place)) - start;
    const uint64_t h = hash({start, length});
    size_t i = h & (slots_.size() - 1);
    while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = h >> kPlaceBits << kPlaceBits | (place + 1);
    place += length + 1;
  }
}

}  // namespace namegen::sampling
