// A team of threads that all run the same function, with barriers: one Run per token, not one per
// operation.
//
//   pool.Run([&](const ThreadPool::Worker& worker) {
//     Sum(worker.Share(n));   // every worker a contiguous part
//     worker.Barrier();       // what all have written, all now see
//     worker.ForParts(n, Multiply);  // a contiguous part each, and some of the rest
//     ...
//   });
//
// Threads live as long as the pool. Waiting, they spin for some milliseconds (a barrier inside a
// token, the next token) and then park in the kernel (between prompts). If the pool has more
// threads than the affinity mask and the cgroup quota give it CPUs, nobody spins: a spinning thread
// would hold the CPU that the thread it waits for needs.
//
// A pool of one thread runs everything in the caller, without a single atomic operation.
#ifndef POCKETGLM_RUNTIME_THREAD_POOL_H_
#define POCKETGLM_RUNTIME_THREAD_POOL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernels/panels.h"
#include "kernels/views.h"

namespace pocketglm {

class ThreadPool {
 public:
  // One of the threads that run a job, as the job sees it.
  class Worker {
   public:
    size_t index() const { return index_; }
    size_t count() const { return count_; }

    // This worker's contiguous part of [0, n): parts differ by at most one, cover everything and
    // ascend with the index. A part may be empty.
    Range Share(size_t n) const { return {n * index_ / count_, n * (index_ + 1) / count_}; }

    // Calls work(part) for this worker's parts of [0, n): together with those of all other workers,
    // which must make the same call, they cover it once. Seven eighths are shared out as by
    // Share(n), in whole pieces; whoever is done with that takes the rest piece by piece, so that
    // no worker has to wait long for one that was held up (pieces half as large, or none, brought
    // nothing to a 9B model's decoding on an idle Zen 4). What does not come to 32 pieces a
    // worker is shared out as by Share(n). Between two such calls must be a Barrier() or the end of
    // the job.
    template <class Work>
    void ForParts(size_t n, const Work& work) const {
      const size_t piece = count_ == 1 ? 0 : PieceSize(n);
      const size_t pieces = piece == 0 ? 0 : CeilDiv(n, piece);
      const size_t free_pieces = pieces / 8;
      const Range own = piece == 0 ? Share(n) : Scaled(Share(pieces - free_pieces), piece);
      if (own.size() != 0) work(own);
      if (free_pieces == 0) return;
      for (;;) {
        const size_t next = pieces - free_pieces + pool_->TakePiece();
        if (next >= pieces) return;
        work(Range{next * piece, std::min((next + 1) * piece, n)});
      }
    }

    // Returns when every worker of the job has called it as often. All must.
    void Barrier() const {
      if (count_ > 1) pool_->ArriveAndWait();
    }

   private:
    friend class ThreadPool;
    Worker(ThreadPool* pool, size_t index, size_t count)
        : pool_(pool), index_(index), count_(count) {}

    // Of a matrix's panels, whole tiles of the kernels where there are enough.
    size_t PieceSize(size_t n) const {
      const size_t size = n / (32 * count_);
      return size < kPartPanels ? size : size / kPartPanels * kPartPanels;
    }
    static Range Scaled(Range range, size_t factor) {
      return {range.begin * factor, range.end * factor};
    }

    ThreadPool* pool_;
    size_t index_;
    size_t count_;
  };

  // `threads` >= 1 includes the thread that calls Run. Throws std::system_error where the system
  // refuses so many.
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t size() const { return size_; }

  // Calls job(worker) once on every thread of the pool, the caller being worker 0, and returns when
  // all have returned. Not to be called from inside a job, nor from two threads at once.
  template <class Job>
  void Run(const Job& job) {
    if (size_ == 1) return job(Worker(this, 0, 1));
    RunOnAll([](const void* j, const Worker& w) { (*static_cast<const Job*>(j))(w); }, &job);
  }

 private:
  using Trampoline = void (*)(const void* job, const Worker& worker);

  void Stop();
  void RunOnAll(Trampoline trampoline, const void* job);
  void WorkerMain(size_t index);
  void ArriveAndWait();
  // 0, 1, 2, ... since the last barrier, of which one ends every job.
  size_t TakePiece() { return taken_.fetch_add(1, std::memory_order_relaxed); }
  // Returns when `value` is no longer `old`: spins for a while, then sleeps.
  void WaitWhile(const std::atomic<uint32_t>& value, uint32_t old) const;

  const size_t size_;
  const uint32_t spins_;  // Pauses before a waiting thread parks.

  Trampoline trampoline_ = nullptr;  // nullptr: the pool is closing.
  const void* job_ = nullptr;

  // Each on cache lines of its own, two because CPUs prefetch lines in pairs: arriving must not
  // disturb those who spin.
  alignas(128) std::atomic<uint32_t> generation_{0};  // Jobs started.
  alignas(128) std::atomic<uint32_t> arrived_{0};     // Workers at the current barrier.
  alignas(128) std::atomic<uint32_t> phase_{0};       // Barriers passed.
  alignas(128) std::atomic<uint32_t> taken_{0};       // Pieces taken since the last barrier.

  std::vector<std::thread> threads_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_THREAD_POOL_H_
