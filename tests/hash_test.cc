#include "runtime/hash.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "tests/file_test_util.h"

namespace pocketglm {
namespace {

TEST(HasherTest, MatchesTheReferenceForAnyPieces) {
  // XXH3-128 of nothing and of "abc", as xxhsum -H128 prints them.
  Hasher hasher;
  EXPECT_EQ(hasher.Finish(), "99aa06d3014798d86001c324468d497f");
  hasher.Update(AsBytes("abc"));
  EXPECT_EQ(hasher.Finish(), "06b05ab6733a618578af5f94892f3950");
  std::string text(5000, '\0');
  std::iota(text.begin(), text.end(), '\0');
  hasher.Update(AsBytes(text));
  const std::string whole = hasher.Finish();
  for (size_t i = 0; i < text.size(); i += 37) hasher.Update(AsBytes(text.substr(i, 37)));
  EXPECT_EQ(hasher.Finish(), whole);
}

}  // namespace
}  // namespace pocketglm
