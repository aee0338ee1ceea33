#include "runtime/atomic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/file_test_util.h"

namespace pocketglm {
namespace {

TEST(AtomicFileTest, RenamesOnCommitAndReplaces) {
  const TempDir dir;
  WriteFile(dir / "f", "old");
  auto file = AtomicFile::Create(dir / "f", 0);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_TRUE(file->WriteAt(2, AsBytes("cd")).ok());
  ASSERT_TRUE(file->WriteAt(0, AsBytes("ab")).ok());
  EXPECT_EQ(ReadFile(dir / "f"), "old");
  const Status status = file->Commit();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(ReadFile(dir / "f"), "abcd");
  EXPECT_EQ(dir.Files(), std::vector<std::string>{"f"});
}

// In a container a program may get the number of the one that was killed before it.
TEST(AtomicFileTest, WhatAnotherLeftStaysAsItIs) {
  const TempDir dir;
  const std::string left = "f.tmp-" + std::to_string(getpid());
  WriteFile(dir / left, "left");
  {
    auto file = AtomicFile::Create(dir / "f", 0);
    ASSERT_TRUE(file.ok()) << file.status().message();
    ASSERT_TRUE(file->WriteAt(0, AsBytes("new")).ok());
    ASSERT_TRUE(file->Commit().ok());
  }
  EXPECT_EQ(ReadFile(dir / "f"), "new");
  EXPECT_EQ(ReadFile(dir / left), "left");
  EXPECT_EQ(dir.Files().size(), 2u);
}

TEST(CheckDiffersTest, FollowsLinks) {
  const TempDir dir;
  WriteFile(dir / "f", "x");
  WriteFile(dir / "g", "x");
  std::filesystem::create_symlink(dir / "f", dir / "link");
  std::filesystem::create_hard_link(dir / "f", dir / "name");
  for (const std::string same : {"f", "link", "name", "./f"}) {
    EXPECT_EQ(CheckDiffers(dir / same, dir / "f").message(),
              (dir / same) + ": expected an output other than the input " + (dir / "f") +
                  ", found the same file");
  }
  EXPECT_TRUE(CheckDiffers(dir / "g", dir / "f").ok());
  EXPECT_TRUE(CheckDiffers(dir / "none", dir / "f").ok());
}

}  // namespace
}  // namespace pocketglm
