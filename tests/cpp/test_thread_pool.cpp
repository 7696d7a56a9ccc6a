// The core's own threads and scratch memory: each task once, exceptions, callers at the same time, forks, and training
// with the bits of one thread.
#include "threads/thread_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <stdexcept>

#include "engine/training/step_engine.h"
#include "support.h"
#include "threads/arena.h"
#include "threads/thread_context.h"

using namespace namegen;
using namespace namegen::test;
using threads::ThreadContext;
using threads::ThreadPool;

namespace {

// AddressSanitizer's allocator has locks that another thread may hold at the moment of a fork, and its child then waits
// for them for ever. Without the sanitizer the C library takes such locks before it forks.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMayForkWhileBusy = false;
#else
constexpr bool kMayForkWhileBusy = true;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kMayFork = false;  // ThreadSanitizer ends a child that starts threads
#else
constexpr bool kMayFork = true;
#endif

void run(ThreadPool& pool, int64_t tasks, int64_t threads, const std::function<void(int64_t)>& body) {
  pool.run(
      tasks, threads,
      [](void* state, int64_t task) { (*static_cast<const std::function<void(int64_t)>*>(state))(task); },
      const_cast<std::function<void(int64_t)>*>(&body));
}

void at_once(int callers, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller) threads.emplace_back(body, caller);
  for (std::thread& thread : threads) thread.join();
}

// Each task writes plain memory of its own, which the caller reads: ThreadSanitizer sees where one is not ordered.
void check_each_task_once(ThreadPool& pool, int64_t tasks, int64_t threads) {
  std::vector<int> times(tasks, 0);
  run(pool, tasks, threads, [&](int64_t task) { ++times[task]; });
  for (int64_t task = 0; task < tasks; ++task) {
    check(times[task] == 1, "task " + std::to_string(task) + " of " + std::to_string(tasks) + " on " +
                                std::to_string(threads) + " threads: ran " + std::to_string(times[task]) + " times");
  }
}

void test_each_task_once() {
  ThreadPool& pool = ThreadPool::shared();
  for (int repeat = 0; repeat < 20; ++repeat) {
    for (const int64_t threads : {0, 1, 2, 3, 8}) {
      for (const int64_t tasks : {0, 1, 2, 3, 7, 100}) check_each_task_once(pool, tasks, threads);
    }
  }
  // Calls that end before a worker has come to them, one right after another.
  for (int repeat = 0; repeat < 5000; ++repeat) check_each_task_once(pool, 2 + repeat % 3, 4);
  for (int repeat = 0; repeat < 3; ++repeat) {  // with workers that have gone to sleep
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    check_each_task_once(pool, 50, 4);
  }
}

// With tasks that wait for each other it shows that they do run at the same time, on threads of their own.
void test_threads_run_at_once() {
  constexpr int64_t kThreads = 3;
  std::atomic<int64_t> begun = 0;
  std::atomic<bool> gave_up = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  run(ThreadPool::shared(), kThreads, kThreads, [&](int64_t) {
    ++begun;
    while (begun < kThreads && !gave_up) {
      std::this_thread::yield();
      if (std::chrono::steady_clock::now() > deadline) gave_up = true;
    }
  });
  check(begun == kThreads && !gave_up, "as many tasks run at once as there are threads");
}

void test_exceptions() {
  ThreadPool& pool = ThreadPool::shared();
  for (int64_t bad = 0; bad < 8; ++bad) {  // on the caller's thread and on others
    std::string caught;
    try {
      run(pool, 8, 4, [&](int64_t task) {
        if (task == bad) throw std::runtime_error("task " + std::to_string(bad));
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    check(caught == "task " + std::to_string(bad), "the exception of a task is thrown by run");
    check_each_task_once(pool, 20, 4);
  }
  bool thrown = false;
  try {
    run(pool, 100, 4, [](int64_t) { throw std::bad_alloc(); });
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  check(thrown, "where all tasks throw, one exception comes");
}

void test_a_call_within_a_task() {
  ThreadPool& pool = ThreadPool::shared();
  std::vector<int> times(6 * 5, 0);
  run(pool, 6, 3, [&](int64_t outer) { run(pool, 5, 3, [&](int64_t inner) { ++times[outer * 5 + inner]; }); });
  for (const int count : times) check(count == 1, "tasks of a call within a task run once");
}

void test_callers_at_once() {
  at_once(4, [](int caller) {
    for (int repeat = 0; repeat < 50; ++repeat) check_each_task_once(ThreadPool::shared(), 5 + caller, 2 + caller % 2);
  });
}

int child_status(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // one that hangs is ended
    failures = 0;
    body();
    _exit(failures == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

void test_forks() {
  if (!kMayFork) return;
  ThreadPool& pool = ThreadPool::shared();
  check_each_task_once(pool, 10, 3);
  const auto work = [] {
    check_each_task_once(ThreadPool::shared(), 10, 3);
    check(child_status([] { check_each_task_once(ThreadPool::shared(), 10, 3); }) == 0, "a child of a child");
  };
  check(child_status(work) == 0, "a child has threads of its own");
  check_each_task_once(pool, 10, 3);
  check(&pool == &ThreadPool::shared(), "the parent keeps its pool");

  if (!kMayForkWhileBusy) return;
  // While another thread is served.
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) check_each_task_once(pool, 10, 3);
  });
  for (int repeat = 0; repeat < 5; ++repeat) check(child_status(work) == 0, "a fork while the pool is busy");
  done = true;
  other.join();
}

void test_number_of_threads() {
  check(threads::own_num_threads() >= 1, "there is a core at least");
  for (const int64_t number : {1, 3}) {
    threads::set_own_num_threads(number);
    check(threads::own_num_threads() == number, "the number is kept");
    ThreadContext context;
    check(context.threads(1e9) == number && context.threads(0) == 1, "much work takes all threads, little takes one");
    check(context.threads(45) == (number == 1 ? 1 : 2), "a thread is worth it from 20 microseconds on");
  }
  for (const int64_t number : {int64_t{0}, int64_t{-1}, threads::kMostThreads + 1, INT64_MAX}) {
    bool refused = false;
    try {
      threads::set_own_num_threads(number);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    check(refused && threads::own_num_threads() == 3, "a number that cannot be is refused, and nothing changes");
  }
}

void test_scratch_memory() {
  ThreadContext context;
  auto* first = static_cast<std::byte*>(context.scratch(100));
  const auto mark = context.mark();
  auto* second = static_cast<std::byte*>(context.scratch(1));
  auto* large = static_cast<std::byte*>(context.scratch(2 * threads::kArenaBytes));  // an allocation of its own
  auto* third = static_cast<std::byte*>(context.scratch(0));
  for (std::byte* p : {first, second, large, third}) {
    check(reinterpret_cast<uintptr_t>(p) % threads::kScratchAlignment == 0, "scratch memory is aligned");
  }
  check(second >= first + 100 && third > second, "pieces do not overlap");
  std::fill_n(first, 100, std::byte{1});
  std::fill_n(large, 2 * threads::kArenaBytes, std::byte{2});
  context.return_to(mark);
  check(context.scratch(1) == second, "what was asked for after the mark is free again");
  check(first[99] == std::byte{1}, "what was asked for before it stays");
  bool refused = false;
  try {
    context.scratch(SIZE_MAX - 10);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  check(refused, "more than there can be is refused");
  std::byte* other = nullptr;
  std::thread([&] { other = threads::arena(); }).join();
  check(other != threads::arena(), "each thread has scratch memory of its own");
}

using Arrays = std::vector<std::vector<float>>;

Arrays train(const engine::Network& network) {
  constexpr int64_t kExamples = 69, kSteps = 3, kBatch = 1100;  // in several chunks
  std::mt19937 generator(3);
  std::vector<int32_t> tokens(kExamples * network.block), targets(kExamples);
  for (int32_t& token : tokens) token = static_cast<int32_t>(generator() % network.vocab);
  for (int32_t& target : targets) target = static_cast<int32_t>(generator() % network.vocab);
  std::vector<int64_t> indices(kSteps * kBatch);
  for (int64_t& index : indices) index = generator() % kExamples;
  const std::vector<double> rates(kSteps, 0.01);
  const auto engine = engine::make_step_engine(
      network, {engine::OptimizerKind::kAdamW, 0.01, 0, false, 0.9, 0.99, 1e-8}, DType::kFloat32);
  Arrays r;
  for (int64_t p = 0; p < engine->parameter_count(); ++p) {
    const engine::ParameterShape shape = engine->parameter_shape(p);
    r.push_back(random_values<float>(shape.rows * shape.columns, generator));
    engine->take(p, engine::Slot::kValue, r.back().data());
  }
  std::vector<double> losses(kSteps);
  std::vector<float> logits(kExamples * network.vocab);
  ThreadContext context;
  engine->set_examples(tokens.data(), targets.data(), kExamples);
  engine->run({indices.data(), rates.data(), losses.data(), kSteps, kBatch}, context);
  engine->logits(tokens.data(), kExamples, logits.data(), context);
  for (int64_t p = 0; p < engine->parameter_count(); ++p) engine->give(p, engine::Slot::kValue, r[p].data());
  r.push_back(logits);
  r.emplace_back(losses.begin(), losses.end());
  return r;
}

void test_training() {
  engine::Network network{};
  network.vocab = 27;
  network.block = 4;
  network.embed = 10;
  network.output_bias = true;
  network.level_count = 2;
  network.levels[0] = {2, 120, false, true, false};
  network.levels[1] = {2, 100, true, true, true};
  threads::set_own_num_threads(1);
  const Arrays alone = train(network);
  for (const int64_t number : {2, 3, 5}) {
    threads::set_own_num_threads(number);
    check(train(network) == alone, std::to_string(number) + " threads train to other bits than one");
    at_once(3, [&](int) { check(train(network) == alone, "callers at the same time train to other bits"); });
  }
  if (kMayFork) {
    check(child_status([&] { check(train(network) == alone, "other bits"); }) == 0, "the child of a fork trains");
  }
}

}  // namespace

int main() {
  check(threads::torch_threads() == nullptr, "there is no torch here");
  test_each_task_once();
  test_threads_run_at_once();
  test_exceptions();
  test_a_call_within_a_task();
  test_callers_at_once();
  test_forks();
  test_number_of_threads();
  test_scratch_memory();
  test_training();
  return result("thread pool");
}
