#include "runtime/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <limits>

#include "tests/fake_root.h"

namespace pocketglm {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

class MemoryLimitTest : public testing::Test {
 protected:
  MemoryLimit Read() const { return AvailableMemory(root_.path()); }

  // The folder of a cgroup, its limit, what is used and how much of that is file cache.
  void WriteV2(const std::string& group, const std::string& max, uint64_t current,
               uint64_t active_file, uint64_t inactive_file) {
    const std::string folder = "sys/fs/cgroup" + group;
    root_.Write(folder + "/memory.max", max + "\n");
    root_.Write(folder + "/memory.current", std::to_string(current) + "\n");
    root_.Write(folder + "/memory.stat", "anon 77\nfile 88\nactive_anon 99\nactive_file " +
                                             std::to_string(active_file) + "\ninactive_file " +
                                             std::to_string(inactive_file) + "\n");
  }

  FakeRoot root_;
};

TEST_F(MemoryLimitTest, NothingKnownIsNoLimit) { EXPECT_EQ(Read().available, kUnlimited); }

TEST_F(MemoryLimitTest, ReadsMemAvailable) {
  root_.Write("proc/meminfo", "MemTotal:       24684084 kB\nMemAvailable:   5 kB\nCached: 3 kB\n");
  EXPECT_EQ(Read().available, 5u * 1024);
  EXPECT_EQ(Read().source, "MemAvailable of /proc/meminfo");
}

TEST_F(MemoryLimitTest, OldKernelsHaveNoMemAvailable) {
  root_.Write("proc/meminfo", "MemTotal:       24684084 kB\nMemFree:   5 kB\n");
  EXPECT_EQ(Read().available, kUnlimited);
}

TEST_F(MemoryLimitTest, V2CountsFileCacheAsAvailable) {
  root_.Write("proc/self/cgroup", "0::/job\n");
  WriteV2("/job", "1000", 700, 150, 200);
  EXPECT_EQ(Read().available, 1000u - (700 - 150 - 200));
  EXPECT_EQ(Read().source, "memory.max of memory cgroup /job");
}

TEST_F(MemoryLimitTest, V2WithoutStatisticsCountsAllUse) {
  root_.Write("proc/self/cgroup", "0::/job\n");
  root_.Write("sys/fs/cgroup/job/memory.max", "1000\n");
  root_.Write("sys/fs/cgroup/job/memory.current", "700\n");
  EXPECT_EQ(Read().available, 300u);
}

TEST_F(MemoryLimitTest, V2MaxIsNoLimit) {
  root_.Write("proc/self/cgroup", "0::/job\n");
  WriteV2("/job", "max", 700, 0, 0);
  EXPECT_EQ(Read().available, kUnlimited);
}

TEST_F(MemoryLimitTest, V2HighLimitsToo) {
  root_.Write("proc/self/cgroup", "0::/job\n");
  WriteV2("/job", "1000", 700, 0, 0);
  root_.Write("sys/fs/cgroup/job/memory.high", "900\n");
  EXPECT_EQ(Read().available, 200u);
  EXPECT_EQ(Read().source, "memory.high of memory cgroup /job");
  root_.Write("sys/fs/cgroup/job/memory.high", "max\n");
  EXPECT_EQ(Read().available, 300u);
}

TEST_F(MemoryLimitTest, V2TightestAncestorDecides) {
  root_.Write("proc/self/cgroup", "0::/outer/inner\n");
  WriteV2("/outer", "1000", 900, 0, 50);
  WriteV2("/outer/inner", "800", 500, 0, 0);
  EXPECT_EQ(Read().available, 150u);
  EXPECT_EQ(Read().source, "memory.max of memory cgroup /outer");
  WriteV2("/outer/inner", "600", 500, 0, 0);
  EXPECT_EQ(Read().available, 100u);
  EXPECT_EQ(Read().source, "memory.max of memory cgroup /outer/inner");
}

TEST_F(MemoryLimitTest, UseBeyondTheLimitLeavesNothing) {
  root_.Write("proc/self/cgroup", "0::/job\n");
  WriteV2("/job", "1000", 1700, 100, 0);
  EXPECT_EQ(Read().available, 0u);
}

TEST_F(MemoryLimitTest, V1CountsWhatTheGroupsBelowUse) {
  root_.Write("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/other\n");
  root_.Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1000\n");
  root_.Write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "700\n");
  root_.Write("sys/fs/cgroup/memory/job/memory.stat",
              "active_file 1\ninactive_file 2\ntotal_active_file 150\ntotal_inactive_file 200\n");
  root_.Write("sys/fs/cgroup/cpu/other/memory.limit_in_bytes", "1\n");
  EXPECT_EQ(Read().available, 650u);
  EXPECT_EQ(Read().source, "memory.limit_in_bytes of memory cgroup /job");
}

// v1 writes the largest multiple of a page where there is no limit.
TEST_F(MemoryLimitTest, V1UnlimitedLeavesTheDecisionToMemAvailable) {
  root_.Write("proc/self/cgroup", "5:memory:/\n");
  root_.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root_.Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "700\n");
  root_.Write("proc/meminfo", "MemAvailable:   5 kB\n");
  EXPECT_EQ(Read().available, 5u * 1024);
}

TEST_F(MemoryLimitTest, HostPathInsideAContainerFallsBackToTheMount) {
  root_.Write("proc/self/cgroup", "0::/kubepods/pod123\n");
  WriteV2("", "1000", 700, 0, 0);
  EXPECT_EQ(Read().available, 300u);
  EXPECT_EQ(Read().source, "memory.max of memory cgroup /");
}

TEST_F(MemoryLimitTest, MalformedFilesAreNoLimit) {
  root_.Write("proc/meminfo", "MemAvailable:\nMemAvailable: many\n");
  root_.Write("proc/self/cgroup", "nonsense\n0::/\n");
  root_.Write("sys/fs/cgroup/memory.max", "");
  root_.Write("sys/fs/cgroup/memory.high", "-\n");
  EXPECT_EQ(Read().available, kUnlimited);
}

TEST_F(MemoryLimitTest, AddressSpaceIsALimit) {
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = uint64_t{1} << 46;  // More than even a sanitizer maps.
  if (old_limit.rlim_cur < limit.rlim_cur) GTEST_SKIP() << "there is a limit already";
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  root_.Write("proc/self/statm", "3 2 1 0 0 0 0\n");
  const MemoryLimit found = Read();
  setrlimit(RLIMIT_AS, &old_limit);
  EXPECT_EQ(found.available, limit.rlim_cur - 3u * static_cast<uint64_t>(getpagesize()));
  EXPECT_EQ(found.source, "limit on address space, ulimit -v");
}

// Of the machine that runs the test: it has some memory, or says nothing.
TEST(AvailableMemoryTest, IsMoreThanThisTestTakes) {
  EXPECT_GT(AvailableMemory("").available, 1u << 20);
}

TEST(CheckMemoryTest, GivesAllNumbers) {
  const std::vector<MemoryPart> parts = {{"weights", 4'700'000'000},
                                         {"KV cache of 4096 tokens", 300'000'000},
                                         {"scratch", 54'321'000}};
  EXPECT_TRUE(CheckMemory("m.pglm", parts, {5'054'321'000, "x"}).ok());
  EXPECT_EQ(
      CheckMemory("m.pglm", parts, {5'054'320'999, "MemAvailable of /proc/meminfo"}).message(),
      "m.pglm: expected 5.05 GB of free memory (weights 4.70 GB + KV cache of 4096 tokens "
      "300.0 MB + scratch 54.3 MB), found 5.05 GB (MemAvailable of /proc/meminfo)");
}

}  // namespace
}  // namespace pocketglm
