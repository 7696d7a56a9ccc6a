#include "threads/torch_threads.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <string>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#else
#include <link.h>
#endif

namespace namegen::threads {
namespace {

bool is_torch(const char* path) {
  const char* slash = std::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  return std::strcmp(name, "libtorch_cpu.so") == 0 || std::strcmp(name, "libtorch_cpu.dylib") == 0;
}

struct Libraries {
  uint64_t known;     // how many had been loaded when they were last looked through
  uint64_t loaded;    // how many have been loaded by now
  std::string torch;  // the path of torch's library; empty where it is not among them, or nothing is new
};

// Looks through the loaded libraries, if there are more of them than are known. Measured: 0.1 us (one call, where no
// library is new).
#if defined(__APPLE__)
void look(Libraries& libraries) {
  libraries.loaded = _dyld_image_count();
  if (libraries.loaded == libraries.known) return;
  for (uint32_t i = 0; i < libraries.loaded; ++i) {
    const char* path = _dyld_get_image_name(i);
    if (path != nullptr && is_torch(path)) libraries.torch = path;
  }
}
#else
int look_at(dl_phdr_info* info, size_t, void* state) {
  Libraries& libraries = *static_cast<Libraries*>(state);
  libraries.loaded = info->dlpi_adds;
  if (libraries.loaded == libraries.known) return 1;
  if (info->dlpi_name != nullptr && is_torch(info->dlpi_name)) libraries.torch = info->dlpi_name;
  return libraries.torch.empty() ? 0 : 1;
}

void look(Libraries& libraries) { dl_iterate_phdr(look_at, &libraries); }
#endif

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
}

TorchThreads found;  // complete once `known` points to it

constexpr int kOmpPauseHard = 2;  // omp_pause_hard of OpenMP 5.0

void let_go_of_threads() { found.omp_pause_resource_all(kOmpPauseHard); }

// Whether the library has the functions. It waits for one that another thread is still loading.
bool take_functions(const char* path) {
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);  // torch stays loaded from here on, as Python keeps it anyway
  if (library == nullptr) return false;
  find(library, "torch_parallel_for", found.parallel_for);
  find(library, "torch_get_num_threads", found.get_num_threads);
  // These are those of the OpenMP runtime that torch is linked to: a library's dependencies are searched with it.
  find(library, "omp_get_max_threads", found.omp_get_max_threads);
  find(library, "omp_set_num_threads", found.omp_set_num_threads);
  find(library, "omp_pause_resource_all", found.omp_pause_resource_all);
  if (found.parallel_for == nullptr || found.get_num_threads == nullptr) return false;
  if (found.omp_pause_resource_all != nullptr) pthread_atfork(let_go_of_threads, nullptr, nullptr);
  return true;
}

}  // namespace

const TorchThreads* torch_threads() {
  static std::atomic<const TorchThreads*> known = nullptr;
  static std::atomic<uint64_t> looked_through = 0;
  static std::atomic_flag looking = ATOMIC_FLAG_INIT;  // no mutex: a child of a fork could wait for it for ever
  const TorchThreads* torch = known.load(std::memory_order_acquire);
  if (torch != nullptr) return torch;
  Libraries libraries{looked_through.load(std::memory_order_relaxed), 0, {}};
  look(libraries);
  if (libraries.loaded == libraries.known || looking.test_and_set(std::memory_order_acquire)) return nullptr;
  if (!libraries.torch.empty() && take_functions(libraries.torch.c_str())) {
    known.store(&found, std::memory_order_release);
  }
  looked_through.store(libraries.loaded, std::memory_order_relaxed);
  looking.clear(std::memory_order_release);
  return known.load(std::memory_order_acquire);
}

}  // namespace namegen::threads
