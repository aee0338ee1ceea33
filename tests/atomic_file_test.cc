#include "runtime/atomic_file.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace pocketglm
