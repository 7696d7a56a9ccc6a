// Threads of this package's own, for a process without torch: they stay from call to call, as starting one takes longer
// than much of the work that is shared.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cpu/context.h"

namespace namegen::threads {

class ThreadPool {
 public:
  using Task = cpu::Context::Task;

  // The pool of this process. After a fork the child has a new one, which starts threads of its own.
  static ThreadPool& shared();

  ThreadPool() = default;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Runs task(state, 0) ... task(state, tasks - 1) on up to `threads` threads, the calling one among them, and returns
  // when all are done. Thread number i begins with the i-th part of the tasks, so that what it left in its caches
  // serves it again in the next call; a thread that is done takes over tasks of the others. Where a task throws, tasks
  // that have not begun are left out, and one of the exceptions is thrown here.
  //
  // The pool serves one call at a time. A call that finds it busy, and one from within a task, runs all its tasks on
  // the thread that it comes from: nobody waits for others' work, so that a process may fork at any time.
  void run(int64_t tasks, int64_t threads, Task task, void* state);

 private:
  // The tasks [next, end) that a thread begins with; others take from them once theirs are done.
  struct alignas(64) Share {
    std::atomic<int64_t> next = 0;
    int64_t end = 0;
  };
  struct alignas(64) Worker {
    std::mutex mutex;
    std::condition_variable wake;
    std::atomic<bool> sleeps = false;
  };
  // What runs at present. It is written only while no worker is inside.
  struct Job {
    int64_t threads = 0;
    Task task = nullptr;
    void* state = nullptr;
    std::unique_ptr<Share[]> shares;  // (room)
    int64_t room = 0;
    std::atomic<bool> has_failed = false;
    std::exception_ptr error;  // of the thread that set has_failed
  };

  // Starts workers until there are so many, or as many as the system allows; returns how many there are.
  int64_t start_workers(int64_t wanted);
  void work(Worker& self, int64_t number);
  uint64_t wait_for_change(Worker& self, uint64_t seen);
  void share_out(int64_t tasks, int64_t threads);
  void take_tasks(int64_t number);
  void wait_until_left();

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::vector<std::unique_ptr<Worker>>
      workers_;  // thread number i + 1 is worker i; changed by the caller that is served

  // Odd while a job may be entered. A worker enters by adding itself to `inside_` and then looking at the turn again;
  // the caller ends the turn and then waits for `inside_` to be 0. Both are sequentially consistent, so that either the
  // worker sees that the turn has ended or the caller sees the worker.
  alignas(64) std::atomic<uint64_t> turn_ = 0;
  alignas(64) std::atomic<int64_t> inside_ = 0;
  Job job_;
};

// How many threads work is shared by where the process has no torch: the cores that the process may run on, until
// set_num_threads says otherwise. Throws std::invalid_argument for less than 1 or more than kMostThreads.
inline constexpr int64_t kMostThreads = 1024;
int64_t own_num_threads();
void set_own_num_threads(int64_t number);

}  // namespace namegen::threads
