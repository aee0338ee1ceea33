#include "arch/level.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace pocketglm {
namespace {

// Sets POCKETGLM_ISA for one test and puts the old value back.
class ScopedIsaVariable {
 public:
  explicit ScopedIsaVariable(const char* value) {
    if (const char* old = std::getenv("POCKETGLM_ISA")) old_ = old;
    setenv("POCKETGLM_ISA", value, 1);
  }
  ~ScopedIsaVariable() {
    if (old_) {
      setenv("POCKETGLM_ISA", old_->c_str(), 1);
    } else {
      unsetenv("POCKETGLM_ISA");
    }
  }

 private:
  std::optional<std::string> old_;
};

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(LevelTest, NamesRoundTrip) {
  ASSERT_FALSE(BuiltIsaLevels().empty());
  for (IsaLevel level : BuiltIsaLevels()) {
    EXPECT_EQ(ParseIsaLevel(IsaLevelName(level)), level) << IsaLevelName(level);
  }
  EXPECT_EQ(ParseIsaLevel(""), std::nullopt);
  EXPECT_EQ(ParseIsaLevel("AVX2"), std::nullopt);
  EXPECT_EQ(ParseIsaLevel("avx"), std::nullopt);
}

TEST(LevelTest, BestIsTheLastSupportedLevel) {
  const std::optional<IsaLevel> best = BestIsaLevel();
  ASSERT_TRUE(best.has_value());
  EXPECT_TRUE(CpuSupports(*best));
  bool after_best = false;
  for (IsaLevel level : BuiltIsaLevels()) {
    if (after_best) {
      EXPECT_FALSE(CpuSupports(level)) << IsaLevelName(level);
    }
    after_best = after_best || level == *best;
  }
}

TEST(LevelTest, SupportedLevelsAreThoseOfTheBuildInOrder) {
  std::vector<IsaLevel> expected;
  for (IsaLevel level : BuiltIsaLevels()) {
    if (CpuSupports(level)) expected.push_back(level);
  }
  EXPECT_EQ(SupportedIsaLevels(), expected);
}

TEST(LevelTest, MissingFeaturesAreNamedExactlyWhenUnsupported) {
  for (IsaLevel level : BuiltIsaLevels()) {
    EXPECT_EQ(CpuSupports(level), MissingCpuFeatures(level).empty()) << IsaLevelName(level);
  }
}

TEST(LevelTest, EmptyMeansNotGiven) {
  const ScopedIsaVariable variable("");
  const IsaLevelChoice choice = ChooseIsaLevel("");
  EXPECT_EQ(choice.level, BestIsaLevel());
  EXPECT_EQ(choice.error, "");
}

TEST(LevelTest, EverySupportedLevelCanBeForced) {
  for (IsaLevel level : BuiltIsaLevels()) {
    const std::string name(IsaLevelName(level));
    const ScopedIsaVariable variable(name.c_str());
    for (const IsaLevelChoice& choice : {ChooseIsaLevel(name), ChooseIsaLevel("")}) {
      if (CpuSupports(level)) {
        EXPECT_EQ(choice.level, level) << choice.error;
      } else {
        EXPECT_EQ(choice.level, std::nullopt);
        EXPECT_TRUE(Contains(choice.error, MissingCpuFeatures(level))) << choice.error;
      }
    }
  }
}

TEST(LevelTest, FlagComesBeforeEnvironment) {
  const std::string best(IsaLevelName(*BestIsaLevel()));
  const ScopedIsaVariable variable("nonsense");
  EXPECT_EQ(ChooseIsaLevel(best).level, BestIsaLevel());
}

TEST(LevelTest, UnknownNameIsAnErrorNamingWhatIsPossible) {
  const ScopedIsaVariable variable("from_environment");
  const IsaLevelChoice from_flag = ChooseIsaLevel("from_flag");
  EXPECT_EQ(from_flag.level, std::nullopt);
  EXPECT_TRUE(Contains(from_flag.error, "--isa from_flag: unknown")) << from_flag.error;
  const IsaLevelChoice from_environment = ChooseIsaLevel("");
  EXPECT_EQ(from_environment.level, std::nullopt);
  EXPECT_TRUE(Contains(from_environment.error, "POCKETGLM_ISA from_environment: unknown"))
      << from_environment.error;
  for (IsaLevel level : BuiltIsaLevels()) {
    EXPECT_TRUE(Contains(from_flag.error, IsaLevelName(level))) << from_flag.error;
  }
}

TEST(LevelTest, EveryLevelHasItsOwnTable) {
  for (IsaLevel level : BuiltIsaLevels()) {
    EXPECT_EQ(KernelsFor(level).level, level) << IsaLevelName(level);
  }
}

TEST(LevelTest, ForcedLevelTakesEffect) {
  for (IsaLevel level : SupportedIsaLevels()) {
    const ScopedIsaVariable variable(std::string(IsaLevelName(level)).c_str());
    EXPECT_EQ(BestKernels().level, level) << IsaLevelName(level);
  }
}

}  // namespace
}  // namespace pocketglm
