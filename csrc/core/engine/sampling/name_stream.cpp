#include "engine/sampling/name_stream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace namegen::sampling {

namespace {

// The first batch of a filtered stream. Its end is not known beforehand, so each batch is twice the one before.
constexpr int64_t kFirstBatch = 256;
// The places of so many names in a set are prefetched together.
constexpr size_t kAhead = 32;
// A thread is started for at least so many names. Drawing them takes longer than its start.
constexpr int64_t kNamesPerThread = 1024;
constexpr auto kPollInterval = std::chrono::milliseconds(20);

struct Stopped {};  // thrown on a worker's own thread to end it

}  // namespace

NameStream::NameStream(std::unique_ptr<Sampler> sampler, std::string training_names, const StreamOptions& options)
    : options_(options), batch_size_(options.batch_size) {
  if (options.names < 0) throw std::invalid_argument("names must be at least 0");
  if (options.max_length < 0) throw std::invalid_argument("max_length must be at least 0");
  if (options.patience < 1 || options.batch_size < 1 || options.threads < 1) {
    throw std::invalid_argument("patience, batch_size and threads must be at least 1");
  }
  samplers_.push_back(std::move(sampler));
  if (is_filtered()) batch_size_ = std::min(batch_size_, kFirstBatch);
  add_training_names(std::move(training_names));
}

// The places of kAhead names are prefetched together: in a large set each one is a cache miss.
void NameStream::add_training_names(std::string names) {
  const size_t size = names.size();
  if (size > 0 && names.back() != '\n') throw std::invalid_argument("training_names must end with a newline");
  training_names_.reserve(static_cast<size_t>(std::count(names.begin(), names.end(), '\n')), size);
  names.append(NameSet::kSlack, '\0');
  std::array<std::string_view, kAhead> ahead;
  std::array<uint64_t, kAhead> hashes;
  for (size_t place = 0; place < size;) {
    size_t count = 0;
    for (; count < kAhead && place < size; ++count) {
      const char* start = names.data() + place;
      const size_t length = static_cast<const char*>(std::memchr(start, '\n', size - place)) - start;
      ahead[count] = {start, length};
      hashes[count] = NameSet::hash(ahead[count]);
      training_names_.prefetch(hashes[count]);
      place += length + 1;
    }
    for (size_t i = 0; i < count; ++i) training_names_.add(ahead[i], hashes[i]);
  }
}

std::string NameStream::next(const Poll& poll) {
  if (ended()) return {};
  const int64_t left = options_.names - counts_.names;
  // A few names may take the place of those that were cut. More are drawn where all of the last ones were.
  const int64_t wanted = is_filtered() ? batch_size_ : std::min(batch_size_, std::max(left, left_out_in_a_row_));
  Part part = drawn(wanted, poll);
  std::string& text = part.text;
  const int64_t count = part.too_few ? std::count(text.begin(), text.end(), '\n') : wanted;
  if (is_filtered() || keeps_names() || training_names_.size() > 0 || wanted > left || holds_cut(text)) {
    text.resize(filter(text));
  } else {  // there is nothing to look up
    counts_.names += count;
    counts_.fresh += count;
    counts_.drawn += count;
    counts_.drawn_fresh += count;
    left_out_in_a_row_ = 0;
  }
  position_ += static_cast<uint64_t>(count);
  batch_size_ = batch_size_ > options_.batch_size / 2 ? options_.batch_size : 2 * batch_size_;
  too_few_ = part.too_few;
  return std::move(text);
}

NameStream::Part NameStream::drawn(int64_t count, const Poll& poll) {
  const int64_t threads = std::min<int64_t>(options_.threads, count / kNamesPerThread);
  std::vector<Part> parts(std::max<int64_t>(threads, 1));
  if (parts.size() == 1) {
    draw_part(0, 0, count, parts[0], poll);
    return std::move(parts[0]);
  }
  draw_on_threads(count, parts, poll);
  Part all;
  for (const Part& part : parts) {
    all.text += part.text;
    if (part.too_few) {  // the names behind the one that was not found are not given
      all.too_few = part.too_few;
      break;
    }
  }
  return all;
}

void NameStream::draw_part(size_t number, int64_t first, int64_t names, Part& part, const Poll& poll) {
  try {
    samplers_[number]->draw(options_.seed, position_ + static_cast<uint64_t>(first), names, part.text, poll);
  } catch (const TooFewAccepted& too_few) {
    part.too_few = too_few;
  }
}

// Each thread draws a run of names of its own, while this one waits and polls. An error on any thread ends them all.
void NameStream::draw_on_threads(int64_t count, std::vector<Part>& parts, const Poll& poll) {
  while (samplers_.size() < parts.size()) samplers_.push_back(samplers_[0]->copy());
  std::mutex mutex;
  std::condition_variable finished;
  size_t running = 0;
  std::exception_ptr error;
  std::atomic<bool> stop = false;

  const auto work = [&](size_t part, int64_t first, int64_t names) {
    std::exception_ptr own;
    try {
      draw_part(part, first, names, parts[part], [&] {
        if (stop) throw Stopped{};
      });
    } catch (const Stopped&) {
    } catch (...) {
      own = std::current_exception();
      stop = true;
    }
    const std::lock_guard<std::mutex> lock(mutex);
    if (own != nullptr && error == nullptr) error = own;
    --running;
    finished.notify_one();
  };

  std::vector<std::thread> threads;
  try {
    for (size_t part = 0; part < parts.size(); ++part) {
      const int64_t first = count * static_cast<int64_t>(part) / static_cast<int64_t>(parts.size());
      const int64_t end = count * static_cast<int64_t>(part + 1) / static_cast<int64_t>(parts.size());
      {
        const std::lock_guard<std::mutex> lock(mutex);
        ++running;
      }
      try {
        threads.emplace_back(work, part, first, end - first);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        --running;
        throw;
      }
    }
    while (true) {
      {
        std::unique_lock<std::mutex> lock(mutex);
        if (finished.wait_for(lock, kPollInterval, [&] { return running == 0; })) break;
      }
      poll();
    }
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex);
    error = std::current_exception();
    stop = true;
  }
  for (std::thread& thread : threads) thread.join();
  if (error != nullptr) std::rethrow_exception(error);
}

// Whether a name has as many letters as a name may have: it did not end by itself. A letter is a code point.
bool NameStream::is_cut(std::string_view name) const {
  const auto most = static_cast<size_t>(options_.max_length);
  if (most == 0 || name.size() < most) return false;
  const auto letters = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return static_cast<size_t>(letters) >= most;
}

// Whether a text holds a name that was cut. A window of max_length bytes that starts with a name and holds a newline
// shows that the names before its last newline are shorter: they need no look each.
bool NameStream::holds_cut(std::string_view text) const {
  const auto most = static_cast<size_t>(options_.max_length);
  if (most == 0) return false;
  for (size_t place = 0; place < text.size();) {
    const size_t last = text.substr(place, most).rfind('\n');
    if (last != std::string_view::npos) {
      place += last + 1;
      continue;
    }
    const size_t length = text.substr(place).find('\n');
    if (is_cut(text.substr(place, length))) return true;
    if (length == std::string_view::npos) return false;
    place += length + 1;
  }
  return false;
}

// Keeps what was asked for, up to the last name wanted or until patience ends. The names are moved to the start of the
// text. Returns their size.
size_t NameStream::filter(std::string& text) {
  const size_t size = text.size();
  text.append(NameSet::kSlack, '\0');
  char* kept = text.data();
  std::array<std::string_view, kAhead> names;
  std::array<uint64_t, kAhead> hashes;
  std::array<bool, kAhead> known{};
  for (size_t place = 0; place < size && !ended();) {
    size_t ahead = 0;
    for (; ahead < kAhead && place < size; ++ahead) {
      const char* start = text.data() + place;
      const size_t length = static_cast<const char*>(std::memchr(start, '\n', size - place)) - start;
      names[ahead] = {start, length};
      if (keeps_names()) {
        hashes[ahead] = NameSet::hash(names[ahead]);
        seen_.prefetch(hashes[ahead]);
      }
      place += length + 1;
    }
    if (training_names_.size() > 0) find_known(names.data(), ahead, known.data());
    for (size_t i = 0; i < ahead && !ended(); ++i) {
      const bool cut = is_cut(names[i]);
      counts_.cut += cut;
      if (cut && options_.leave_out_cut) {
        ++counts_.drawn;
        ++left_out_in_a_row_;
        continue;
      }
      const bool fresh = !known[i];
      const bool repeat = keeps_names() && !seen_.add(names[i], hashes[i]);
      ++counts_.drawn;
      counts_.drawn_fresh += fresh;
      if ((options_.novel && !fresh) || (options_.unique && repeat)) {
        ++left_out_in_a_row_;
        continue;
      }
      left_out_in_a_row_ = 0;
      ++counts_.names;
      counts_.fresh += fresh;
      std::memmove(kept, names[i].data(), names[i].size() + 1);
      kept += names[i].size() + 1;
    }
  }
  counts_.drawn_distinct = seen_.size();
  return static_cast<size_t>(kept - text.data());
}

// Tells which of up to kAhead names are training names. Each has a newline behind it, and kSlack readable bytes.
void NameStream::find_known(const std::string_view* names, size_t count, bool* known) {
  std::array<std::string_view, kAhead> keys;
  std::array<uint64_t, kAhead> hashes;
  std::copy_n(names, count, keys.begin());
  if (!folding_.changes_nothing()) {
    std::array<size_t, kAhead + 1> places{};
    folded_.clear();
    for (size_t i = 0; i < count; ++i) {
      folding_.append(names[i], folded_);
      places[i + 1] = folded_.size();
    }
    folded_.append(NameSet::kSlack, '\0');
    for (size_t i = 0; i < count; ++i) keys[i] = {folded_.data() + places[i], places[i + 1] - places[i]};
  }
  for (size_t i = 0; i < count; ++i) {
    hashes[i] = NameSet::hash(keys[i]);
    training_names_.prefetch(hashes[i]);
  }
  for (size_t i = 0; i < count; ++i) known[i] = training_names_.contains(keys[i], hashes[i]);
}

}  // namespace namegen::sampling
