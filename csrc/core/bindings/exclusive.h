// One call at a time for what several threads cannot use together.
#pragma once

#include <atomic>
#include <stdexcept>
#include <string>

namespace namegen::bindings {

// Holds `busy` while it lives. A second call is refused with std::runtime_error and does not wait, so that a process
// may fork at any time.
class Exclusive {
 public:
  Exclusive(std::atomic_flag& busy, const char* what) : busy_(busy) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      throw std::runtime_error(std::string(what) + " is in use by another call, which has not ended");
    }
  }
  ~Exclusive() { busy_.clear(std::memory_order_release); }
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;

 private:
  std::atomic_flag& busy_;
};

}  // namespace namegen::bindings
