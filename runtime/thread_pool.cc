#include "runtime/thread_pool.h"

#include <cassert>

#include "arch/pause.h"
#include "arch/topology.h"

namespace pocketglm {
namespace {

// About 0.5 to 5 ms, depending on what a pause costs (10 to 140 cycles). Within a token no wait is
// that long unless others use the CPUs: then a thread waits until the system lets the other one run
// again, and one that has parked meanwhile may itself wait as long. Beside two endless loops on two
// CPUs the demo model came at 23,000 tok/s in most runs, and at 17 in most with 2,000 spins and a
// yield after 32 (2026-11-21).
constexpr uint32_t kSpins = 100'000;

// After so many of them, in between, a waiting thread offers its CPU. Now and then the system
// starts two threads on one CPU and takes 20 ms to notice; until then each barrier would last the
// whole spin. The first 20 tokens of the demo model then come at 3,200 tok/s; 32 would make that
// 6,700, but where the CPUs are busy whoever yields waits for milliseconds.
constexpr uint32_t kSpinsPerYield = 256;

}  // namespace

ThreadPool::ThreadPool(size_t threads)
    : size_(threads), spins_(threads <= AvailableCpuCount() ? kSpins : 0) {
  assert(threads >= 1);
  threads_.reserve(threads - 1);
  try {
    for (size_t i = 1; i < threads; ++i) threads_.emplace_back([this, i] { WorkerMain(i); });
  } catch (...) {
    Stop();  // Those that did start.
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  if (threads_.empty()) return;
  trampoline_ = nullptr;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::RunOnAll(Trampoline trampoline, const void* job) {
  trampoline_ = trampoline;
  job_ = job;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  trampoline(job, Worker(this, 0, size_));
  ArriveAndWait();
}

void ThreadPool::WorkerMain(size_t index) {
  for (uint32_t generation = 0;; ++generation) {
    WaitWhile(generation_, generation);
    if (trampoline_ == nullptr) return;
    trampoline_(job_, Worker(this, index, size_));
    ArriveAndWait();  // After it the caller may set the next job.
  }
}

// Two threads of a Zen 4 wait 40 to 75 ns here with nothing between the barriers, and 300 when the
// hypervisor runs them on different dies. A dissemination barrier, whose threads tell each other in
// pairs, took 48 and 200 (means of 5000, medians of ten; g++ 12.2, 2026-11-26), but the demo model
// was no faster by it, since what is computed has to travel as well, and half as fast with more
// threads than CPUs, where it wakes them one by one. Pieces taken on the line of the arrivals: no
// difference.
void ThreadPool::ArriveAndWait() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    // Nobody arrives again, or takes pieces, before the phase changes.
    arrived_.store(0, std::memory_order_relaxed);
    taken_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();
  } else {
    WaitWhile(phase_, phase);
  }
}

void ThreadPool::WaitWhile(const std::atomic<uint32_t>& value, uint32_t old) const {
  for (uint32_t i = 0; i < spins_; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    if (i % kSpinsPerYield == kSpinsPerYield - 1) {
      std::this_thread::yield();
    } else {
      Pause();
    }
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace pocketglm
