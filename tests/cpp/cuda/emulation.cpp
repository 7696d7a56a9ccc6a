#include "cuda/emulation.h"

#undef threadIdx
#undef blockIdx
#undef blockDim

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace namegen::cuda::emulation {

Order order = Order::kUp;

namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr unsigned kMostThreads = 1024;

enum class State { kReady, kAtBlockBarrier, kAtGridBarrier, kDone };

struct Block {
  std::unique_ptr<unsigned char[]> shared;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<unsigned char[]> stack;
  Indices indices;
  Block* block;
  State state;
  void* fake_stack = nullptr;
};

struct Call {
  void (*call)(const void*, const void*);
  const void* kernel;
  const void* arguments;
  bool failed;
};

ucontext_t scheduler;
Fiber* current = nullptr;
Call* current_call = nullptr;
#if defined(__SANITIZE_ADDRESS__)  // which must know of every change of stacks
void* scheduler_fake_stack = nullptr;
const void* scheduler_stack = nullptr;
size_t scheduler_stack_bytes = 0;
#endif

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulation: %s\n", what);
  std::abort();
}

void to_scheduler(State state) {
  Fiber* fiber = current;
  fiber->state = state;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(state == State::kDone ? nullptr : &fiber->fake_stack, scheduler_stack,
                                 scheduler_stack_bytes);
#endif
  swapcontext(&fiber->context, &scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber->fake_stack, nullptr, nullptr);
#endif
}

void enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  try {
    current_call->call(current_call->kernel, current_call->arguments);
  } catch (const AssertionFailed&) {
    current_call->failed = true;
  }
  to_scheduler(State::kDone);
}

void resume(Fiber& fiber) {
  current = &fiber;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack.get(), kStackBytes);
#endif
  swapcontext(&scheduler, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
  current = nullptr;
}

// Indices 0 ... count - 1 in the order that `order` asks for.
std::vector<unsigned> ordered(unsigned count) {
  std::vector<unsigned> result(count);
  for (unsigned i = 0; i < count; ++i) result[i] = order == Order::kDown ? count - 1 - i : i;
  if (order == Order::kShuffled) std::shuffle(result.begin(), result.end(), std::mt19937(count));
  return result;
}

// Runs all threads of the given blocks side by side.
void run_blocks(const Grid& grid, const std::vector<dim3>& which,
                std::vector<std::unique_ptr<unsigned char[]>>& stacks) {
  std::vector<Block> blocks(which.size());
  std::vector<Fiber> fibers(which.size() * grid.threads);
  while (stacks.size() < fibers.size()) stacks.emplace_back(new unsigned char[kStackBytes]);
  const auto prepare = [&](size_t b) {
    blocks[b].shared.reset(new (std::align_val_t(16)) unsigned char[std::max<size_t>(grid.shared_bytes, 1)]);
    std::memset(blocks[b].shared.get(), 0xff, grid.shared_bytes);  // NaN, so that reading what was not written shows
    for (int t = 0; t < grid.threads; ++t) {
      Fiber& fiber = fibers[b * grid.threads + t];
      fiber.stack = std::move(stacks[b * grid.threads + t]);
      fiber.indices = {dim3(t), which[b], dim3(grid.threads)};
      fiber.block = &blocks[b];
      fiber.state = State::kReady;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStackBytes;
      fiber.context.uc_link = nullptr;
      makecontext(&fiber.context, enter, 0);
    }
  };
  for (size_t b = 0; b < which.size(); ++b) prepare(b);
  const auto count = [&](size_t begin, size_t end, State state) {
    return std::count_if(fibers.begin() + begin, fibers.begin() + end,
                         [&](const Fiber& f) { return f.state == state; });
  };
  const auto release = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) fibers[i].state = State::kReady;
  };
  const auto size = static_cast<size_t>(grid.threads);
  while (count(0, fibers.size(), State::kDone) < std::ptrdiff_t(fibers.size())) {
    bool progress = false;
    for (const unsigned i : ordered(static_cast<unsigned>(fibers.size()))) {
      if (fibers[i].state != State::kReady) continue;
      resume(fibers[i]);
      progress = true;
    }
    if (current_call->failed) break;
    for (size_t b = 0; b < fibers.size(); b += size) {
      const auto waiting = count(b, b + size, State::kAtBlockBarrier);
      if (waiting == 0) continue;
      if (waiting != std::ptrdiff_t(size)) fail("some threads of a block are at a barrier that others do not reach");
      release(b, b + size);
      progress = true;
    }
    const auto waiting = count(0, fibers.size(), State::kAtGridBarrier);
    if (waiting == std::ptrdiff_t(fibers.size())) {
      release(0, fibers.size());
      progress = true;
    }
    if (!progress) fail("threads wait for each other");
  }
  for (size_t i = 0; i < fibers.size(); ++i) stacks[i] = std::move(fibers[i].stack);
  for (Block& block : blocks) ::operator delete[](block.shared.release(), std::align_val_t(16));
}

}  // namespace

const Indices& indices() { return current->indices; }
unsigned char* shared_memory() { return current->block->shared.get(); }
void wait_for_block() { to_scheduler(State::kAtBlockBarrier); }
void wait_for_grid() { to_scheduler(State::kAtGridBarrier); }

cudaError_t run(const Grid& grid, void (*call)(const void*, const void*), const void* kernel, const void* arguments) {
  const uint64_t block_count = uint64_t(grid.blocks.x) * grid.blocks.y * grid.blocks.z;
  if (block_count == 0 || grid.threads < 1 || unsigned(grid.threads) > kMostThreads) return cudaErrorInvalidValue;
  if (grid.blocks.y > 65535 || grid.blocks.z > 65535) return cudaErrorInvalidValue;
  Call this_call{call, kernel, arguments, false};
  current_call = &this_call;
  std::vector<std::unique_ptr<unsigned char[]>> stacks;
  std::vector<dim3> blocks;
  for (const unsigned i : ordered(static_cast<unsigned>(block_count))) {
    blocks.emplace_back(i % grid.blocks.x, i / grid.blocks.x % grid.blocks.y, i / grid.blocks.x / grid.blocks.y);
  }
  if (grid.cooperative) {
    run_blocks(grid, blocks, stacks);
  } else {
    for (size_t i = 0; i < blocks.size() && !this_call.failed; ++i) run_blocks(grid, {blocks[i]}, stacks);
  }
  current_call = nullptr;
  return this_call.failed ? cudaErrorAssert : cudaSuccess;
}

// ---- half precision -------------------------------------------------------------------------------------------------

float from_bfloat16(uint16_t bits) {
  const uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // rounds to the nearest, ties to even
}

float from_float16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float magnitude = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                          : exponent == 0 ? std::ldexp(float(fraction), -24)
                                          : std::ldexp(float(fraction + 1024), exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

uint16_t to_float16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return 0x7fff;
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent = std::max(exponent - 11, -24);  // of the last place
  const float places = std::nearbyint(std::ldexp(magnitude, -exponent));
  // A fraction that was rounded up to 2048 carries into the exponent by itself.
  return static_cast<uint16_t>(sign + (places < 1024 ? int(places) : (exponent + 24) * 1024 + int(places)));
}

}  // namespace namegen::cuda::emulation
