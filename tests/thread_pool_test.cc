#include "runtime/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace pocketglm {
namespace {

// More threads than any machine that runs the tests has CPUs are among them.
std::vector<size_t> PoolSizes() {
  return {1, 2, 3, 5, 8, std::thread::hardware_concurrency() + size_t{3}};
}

TEST(ThreadPoolTest, RunsOnceOnEveryThreadAndTheCallerIsTheFirst) {
  for (const size_t size : PoolSizes()) {
    ThreadPool pool(size);
    EXPECT_EQ(pool.size(), size);
    std::mutex mutex;
    std::multiset<size_t> indices;
    std::set<std::thread::id> threads;
    std::thread::id first;
    pool.Run([&](const ThreadPool::Worker& worker) {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(worker.count(), size);
      indices.insert(worker.index());
      threads.insert(std::this_thread::get_id());
      if (worker.index() == 0) first = std::this_thread::get_id();
    });
    EXPECT_EQ(first, std::this_thread::get_id());
    EXPECT_EQ(threads.size(), size);
    EXPECT_EQ(indices.size(), size);
    for (size_t i = 0; i < size; ++i) EXPECT_EQ(indices.count(i), 1u) << i << " of " << size;
  }
}

TEST(ThreadPoolTest, SharesCoverEverythingOnceInOrderAndEvenly) {
  for (const size_t size : PoolSizes()) {
    ThreadPool pool(size);
    for (const size_t n : {0, 1, 2, 3, 7, 8, 9, 100, 151552, 1 << 30}) {
      std::vector<Range> shares(size);
      pool.Run([&](const ThreadPool::Worker& worker) { shares[worker.index()] = worker.Share(n); });
      size_t next = 0;
      for (const Range& share : shares) {
        EXPECT_EQ(share.begin, next);
        EXPECT_GE(share.size(), n / size);
        EXPECT_LE(share.size(), n / size + 1);
        next = share.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

TEST(ThreadPoolTest, PartsCoverEverythingOnce) {
  for (const size_t size : PoolSizes()) {
    ThreadPool pool(size);
    for (const size_t n : {0, 1, 7, 100, 288, 1712, 9472}) {
      std::vector<std::atomic<int>> times(n);
      for (int round = 1; round <= 3; ++round) {
        pool.Run([&](const ThreadPool::Worker& worker) {
          for (int call = 0; call < 2; ++call) {
            worker.ForParts(n, [&](Range part) {
              EXPECT_LT(part.begin, part.end);
              for (size_t i = part.begin; i < part.end; ++i) ++times[i];
            });
            // After the last call the end of the job serves as a barrier.
            if (call == 0) worker.Barrier();
          }
        });
        for (size_t i = 0; i < n; ++i) ASSERT_EQ(times[i], 2 * round) << i << " of " << n;
      }
    }
  }
}

// A worker that is held up in its own part finds everything else done.
TEST(ThreadPoolTest, OthersTakeTheRestOfAWorkerThatIsHeldUp) {
  for (const size_t size : {2, 3, 8}) {
    ThreadPool pool(size);
    constexpr size_t kCount = 9472;
    std::atomic<size_t> done = 0;
    std::vector<size_t> parts_of_first;
    pool.Run([&](const ThreadPool::Worker& worker) {
      worker.ForParts(kCount, [&](Range part) {
        if (worker.index() == 0) {
          parts_of_first.push_back(part.size());
          while (done + part.size() < kCount) std::this_thread::yield();
        }
        done += part.size();
      });
    });
    EXPECT_EQ(done, kCount);
    ASSERT_EQ(parts_of_first.size(), 1u);
    EXPECT_LT(parts_of_first[0], kCount / pool.size());  // The others did more than their share.
  }
}

// Plain memory, written by one worker in one phase and read by another in the next: wrong values
// show a barrier that lets somebody through early, and ThreadSanitizer one that orders nothing.
TEST(ThreadPoolTest, BarriersOrderWrites) {
  constexpr size_t kPhases = 200;
  for (const size_t size : PoolSizes()) {
    ThreadPool pool(size);
    std::vector<size_t> cells(size, 0);
    std::vector<size_t> wrong(size, 0);
    pool.Run([&](const ThreadPool::Worker& worker) {
      const size_t neighbour = (worker.index() + 1) % size;
      for (size_t phase = 1; phase <= kPhases; ++phase) {
        cells[worker.index()] = phase;
        worker.Barrier();
        if (cells[neighbour] != phase) ++wrong[worker.index()];
        worker.Barrier();
      }
    });
    EXPECT_EQ(wrong, std::vector<size_t>(size, 0)) << size << " threads";
  }
}

// What a run has written, the caller sees after it, and the workers see what it wrote before.
TEST(ThreadPoolTest, ManyRunsFollowEachOther) {
  constexpr size_t kRuns = 500;
  for (const size_t size : PoolSizes()) {
    ThreadPool pool(size);
    std::vector<size_t> sums(size, 0);
    size_t addend = 0;
    for (size_t run = 1; run <= kRuns; ++run) {
      addend = run;
      pool.Run([&](const ThreadPool::Worker& worker) { sums[worker.index()] += addend; });
      for (const size_t sum : sums) ASSERT_EQ(sum, run * (run + 1) / 2) << size << " threads";
    }
  }
}

// Threads that wait for longer than they spin are asleep, and wake.
TEST(ThreadPoolTest, WakesThreadsThatSleep) {
  ThreadPool pool(3);
  std::vector<size_t> runs(3, 0);
  for (size_t run = 1; run <= 5; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pool.Run([&](const ThreadPool::Worker& worker) {
      // The others sleep at this barrier, too.
      if (worker.index() == run % 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      worker.Barrier();
      ++runs[worker.index()];
    });
    EXPECT_EQ(runs, std::vector<size_t>(3, run));
  }
}

TEST(ThreadPoolTest, ComesAndGoesWithoutWork) {
  for (size_t i = 0; i < 100; ++i) {
    ThreadPool idle(1 + i % 5);
  }
  for (size_t i = 0; i < 100; ++i) {
    ThreadPool pool(1 + i % 5);
    std::vector<int> done(pool.size(), 0);
    pool.Run([&](const ThreadPool::Worker& worker) { done[worker.index()] = 1; });
    EXPECT_EQ(done, std::vector<int>(pool.size(), 1));
  }
}

// Two pools at work at once, from two threads, know nothing of each other.
TEST(ThreadPoolTest, PoolsAreIndependent) {
  const auto work = [](size_t* total) {
    ThreadPool pool(3);
    std::vector<size_t> counts(3, 0);
    for (size_t run = 0; run < 200; ++run) {
      pool.Run([&](const ThreadPool::Worker& worker) {
        worker.Barrier();
        ++counts[worker.index()];
      });
    }
    *total = counts[0] + counts[1] + counts[2];
  };
  size_t totals[2] = {0, 0};
  std::thread other(work, &totals[0]);
  work(&totals[1]);
  other.join();
  EXPECT_EQ(totals[0], 600u);
  EXPECT_EQ(totals[1], 600u);
}

}  // namespace
}  // namespace pocketglm
