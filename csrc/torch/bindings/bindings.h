// The parts of the extension module, one a file.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <stdexcept>
#include <string>

namespace namegen::bindings {

// One call at a time of what cannot be used by several threads: another one is refused. None waits, so that a process
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

void bind_step_engine(pybind11::module_& m);
void define_counts(pybind11::module_& m);

}  // namespace namegen::bindings
