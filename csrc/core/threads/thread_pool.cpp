#include "threads/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace namegen::threads {
namespace {

using Clock = std::chrono::steady_clock;

// How long a worker looks for the next job before it sleeps, because waking it takes longer than most passes do. After
// the first microseconds it gives way to other threads of its core. Measured: 50 us to wake a worker, a few us between
// two passes of a training step, about ten us between two calls from Python (1,024 examples, 2 threads).
constexpr auto kLookFor = std::chrono::microseconds(200);
constexpr auto kGiveWayAfter = std::chrono::microseconds(20);

// Whether this thread runs a task: what it calls stays on it.
thread_local bool in_task = false;

std::atomic<ThreadPool*> shared_pool = nullptr;
std::atomic<int64_t> num_threads = 0;  // 0: not set

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Calls done() until it is true, or until the time is over where there is one; returns what it said last.
template <class Done>
bool look_until(const Done& done, Clock::duration time = Clock::duration::max()) {
  constexpr int kLooksPerClock = 32;
  const auto began = Clock::now();
  for (;;) {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (done()) return true;
      relax();
    }
    const auto passed = Clock::now() - began;
    if (passed > time) return done();
    if (passed > kGiveWayAfter) sched_yield();
  }
}

// Signals go to the program's own threads: a worker would only delay Ctrl-C.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

int64_t cores_of_this_process() {
#if defined(__linux__)
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return std::clamp<int64_t>(CPU_COUNT(&cores), 1, kMostThreads);
#endif
  return std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, kMostThreads);
}

}  // namespace

ThreadPool& ThreadPool::shared() {
  // The child of a fork has one thread. Other threads may have held locks of the old pool, so the child abandons it.
  [[maybe_unused]] static const int fork_is_prepared =
      pthread_atfork(nullptr, nullptr, [] { shared_pool.store(nullptr, std::memory_order_relaxed); });
  ThreadPool* pool = shared_pool.load(std::memory_order_acquire);
  if (pool != nullptr) return *pool;
  // Never deleted: its threads may look at it until the process ends.
  auto made = std::make_unique<ThreadPool>();
  if (shared_pool.compare_exchange_strong(pool, made.get(), std::memory_order_acq_rel)) pool = made.release();
  return *pool;
}

void ThreadPool::run(int64_t tasks, int64_t threads, Task task, void* state) {
  const bool is_alone = tasks <= 1 || threads <= 1 || in_task || busy_.test_and_set(std::memory_order_acquire);
  if (is_alone) {
    for (int64_t i = 0; i < tasks; ++i) task(state, i);
    return;
  }
  struct Served {
    ThreadPool& pool;
    explicit Served(ThreadPool& served) : pool(served) { in_task = true; }
    ~Served() {
      in_task = false;
      pool.busy_.clear(std::memory_order_release);
    }
  } const served(*this);
  threads = std::min({threads, tasks, kMostThreads});
  threads = std::min(threads, start_workers(threads - 1) + 1);
  share_out(tasks, threads);
  job_.task = task;
  job_.state = state;
  job_.has_failed.store(false, std::memory_order_relaxed);
  job_.error = nullptr;
  turn_.fetch_add(1);
  for (int64_t number = 1; number < threads; ++number) {
    Worker& worker = *workers_[number - 1];
    if (!worker.sleeps.load()) continue;
    const std::lock_guard<std::mutex> lock(worker.mutex);
    worker.wake.notify_one();
  }
  take_tasks(0);
  turn_.fetch_add(1);
  look_until([&] { return inside_.load() == 0; });
  if (job_.error) std::rethrow_exception(job_.error);
}

int64_t ThreadPool::start_workers(int64_t wanted) {
  const SignalsBlocked signals_blocked;
  while (static_cast<int64_t>(workers_.size()) < wanted) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    try {
      std::thread(&ThreadPool::work, this, std::ref(worker), static_cast<int64_t>(workers_.size())).detach();
    } catch (const std::system_error&) {  // the system gives no more threads
      workers_.pop_back();
      break;
    }
  }
  return static_cast<int64_t>(workers_.size());
}

void ThreadPool::share_out(int64_t tasks, int64_t threads) {
  if (job_.room < threads) {
    job_.shares = std::make_unique<Share[]>(threads);
    job_.room = threads;
  }
  job_.threads = threads;
  const int64_t each = tasks / threads, more = tasks % threads;  // the first ones take one more
  int64_t next = 0;
  for (int64_t number = 0; number < threads; ++number) {
    Share& share = job_.shares[number];
    share.next.store(next, std::memory_order_relaxed);
    next += each + (number < more ? 1 : 0);
    share.end = next;
  }
}

void ThreadPool::take_tasks(int64_t number) {
  try {
    for (int64_t i = 0; i < job_.threads; ++i) {
      Share& share = job_.shares[(number + i) % job_.threads];
      while (!job_.has_failed.load(std::memory_order_relaxed)) {
        const int64_t next = share.next.fetch_add(1, std::memory_order_relaxed);
        if (next >= share.end) break;
        job_.task(job_.state, next);
      }
    }
  } catch (...) {
    if (!job_.has_failed.exchange(true)) job_.error = std::current_exception();
  }
}

void ThreadPool::work(Worker& self, int64_t number) {
  in_task = true;
  uint64_t turn = 0;
  for (;;) {
    turn = wait_for_change(self, turn);
    if (turn % 2 == 0) continue;
    inside_.fetch_add(1);
    if (turn_.load() == turn && number < job_.threads) take_tasks(number);
    inside_.fetch_sub(1);
  }
}

uint64_t ThreadPool::wait_for_change(Worker& self, uint64_t seen) {
  const auto has_changed = [&] { return turn_.load() != seen; };
  if (!look_until(has_changed, kLookFor)) {
    std::unique_lock<std::mutex> lock(self.mutex);
    self.sleeps.store(true);
    self.wake.wait(lock, has_changed);
    self.sleeps.store(false);
  }
  return turn_.load();
}

int64_t own_num_threads() {
  const int64_t number = num_threads.load(std::memory_order_relaxed);
  if (number > 0) return number;
  static const int64_t cores = cores_of_this_process();
  return cores;
}

void set_own_num_threads(int64_t number) {
  if (number < 1 || number > kMostThreads) {
    throw std::invalid_argument("number of threads: got " + std::to_string(number) + ", expected 1 to " +
                                std::to_string(kMostThreads));
  }
  num_threads.store(number, std::memory_order_relaxed);
}

}  // namespace namegen::threads
