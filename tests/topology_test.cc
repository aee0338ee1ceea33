#include "arch/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "arch/prefetch.h"
#include "tests/fake_root.h"

namespace pocketglm {
namespace {

class TopologyTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) { root_.Write(path, text); }

  void WriteSiblings(size_t cpu, const std::string& list) {
    Write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
          list + "\n");
  }

  const std::string& root() const { return root_.path(); }

 private:
  FakeRoot root_;
};

TEST_F(TopologyTest, SiblingsCountOnce) {
  for (size_t cpu : {0, 4}) WriteSiblings(cpu, "0,4");
  for (size_t cpu : {1, 5}) WriteSiblings(cpu, "1,5");
  for (size_t cpu : {2, 3}) WriteSiblings(cpu, "2-3");
  EXPECT_EQ(CountPhysicalCores(std::vector<size_t>{0, 1, 2, 3, 4, 5}, root()), 3u);
}

TEST_F(TopologyTest, OnlyAllowedCpusCount) {
  for (size_t cpu : {0, 4}) WriteSiblings(cpu, "0,4");
  for (size_t cpu : {1, 5}) WriteSiblings(cpu, "1,5");
  EXPECT_EQ(CountPhysicalCores(std::vector<size_t>{0, 4}, root()), 1u);
  EXPECT_EQ(CountPhysicalCores(std::vector<size_t>{4, 5}, root()), 2u);
}

TEST_F(TopologyTest, UnknownSiblingsAreCoresOfTheirOwn) {
  EXPECT_EQ(CountPhysicalCores(std::vector<size_t>{0, 1, 7}, root()), 3u);
}

TEST_F(TopologyTest, NoCgroupMeansNoQuota) { EXPECT_EQ(CgroupCpuQuota(root()), 0u); }

TEST_F(TopologyTest, V2QuotaRoundsUp) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 2u);
  Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 2u);
  Write("sys/fs/cgroup/cpu.max", "1000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 1u);
}

TEST_F(TopologyTest, V2MaxMeansNoQuota) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 0u);
}

TEST_F(TopologyTest, V2TightestAncestorDecides) {
  Write("proc/self/cgroup", "0::/outer/inner\n");
  Write("sys/fs/cgroup/outer/cpu.max", "300000 100000\n");
  Write("sys/fs/cgroup/outer/inner/cpu.max", "800000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 3u);
  Write("sys/fs/cgroup/outer/inner/cpu.max", "100000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 1u);
}

TEST_F(TopologyTest, V1QuotaIsRead) {
  Write("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job\n3:cpuset:/\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 3u);
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 0u);
}

TEST_F(TopologyTest, HostPathInsideAContainerFallsBackToTheMount) {
  Write("proc/self/cgroup", "4:cpu:/docker/0123456789ab\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 1u);
}

TEST_F(TopologyTest, MalformedFilesMeanNoQuota) {
  Write("proc/self/cgroup", "nonsense\n0::/\n");
  Write("sys/fs/cgroup/cpu.max", "many\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 0u);
  Write("sys/fs/cgroup/cpu.max", "100000 0\n");
  EXPECT_EQ(CgroupCpuQuota(root()), 0u);
}

TEST_F(TopologyTest, DefaultIsAtLeastOneAndAtMostAllCpus) {
  EXPECT_GE(DefaultThreadCount(), 1u);
  EXPECT_LE(DefaultThreadCount(), std::max(1u, std::thread::hardware_concurrency()));
}

TEST(LastLevelCacheTest, IsUnknownOrOfTheSizeOfACache) {
  const size_t bytes = LastLevelCacheBytes();
  if (bytes == 0) GTEST_SKIP() << "nobody tells here";
  EXPECT_GE(bytes, size_t{1} << 15);
  EXPECT_LE(bytes, size_t{1} << 32);
}

TEST(BestPrefetchDistanceTest, IsSomeLinesAndNotTheWholeCache) {
  const PrefetchDistance distance = BestPrefetchDistance();
  EXPECT_GE(distance.l1 + distance.l2, 64u);
  EXPECT_LE(distance.l1, 4096u);
  EXPECT_LE(distance.l2, 16384u);
}

}  // namespace
}  // namespace pocketglm
