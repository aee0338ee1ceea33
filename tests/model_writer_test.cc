#include "runtime/model_writer.h"

#include <sys/resource.h>

#include <csignal>

#include "tests/model_file_test_util.h"

namespace pocketglm {
namespace {

class ModelWriterTest : public ModelFileTest {};

TEST_F(ModelWriterTest, SameInputGivesSameBytes) {
  WriteModel(path_, TestMetadata(), 100, 7);
  WriteModel(dir_ / "again", TestMetadata(), 100, 1 << 20);
  EXPECT_EQ(ReadFile(path_), ReadFile(dir_ / "again"));
}

TEST_F(ModelWriterTest, AnUnfinishedFileLeavesNothingBehind) {
  {
    auto writer = ModelWriter::Create(path_, TestMetadata(), 0);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    ASSERT_TRUE(writer->Append(BytesOf(writer->tensors()[0])).ok());
    EXPECT_EQ(dir_.Files().size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(path_));
  }
  EXPECT_TRUE(dir_.Files().empty());
}

TEST_F(ModelWriterTest, AFailedWriteLeavesTheOldFile) {
  WriteFile(path_, "old");
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 70000;  // Past the header, inside the embedding.
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string message;
  {
    auto writer = ModelWriter::Create(path_, TestMetadata(), 0);
    if (writer.ok()) {
      Status status;
      for (const TensorSpec& spec : writer->tensors()) {
        if (spec.kind == TensorKind::kPad || !status.ok()) continue;
        status = writer->Append(BytesOf(spec));
      }
      if (status.ok()) status = writer->Finish();  // Writes what little had been gathered.
      message = status.message();
    }
  }
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(message.starts_with(path_ + ": cannot write ")) << message;
  EXPECT_TRUE(message.ends_with(": File too large")) << message;
  EXPECT_EQ(dir_.Files(), std::vector<std::string>{"m.pglm"});
  EXPECT_EQ(ReadFile(path_), "old");
}

TEST_F(ModelWriterTest, CreateSaysWhyItCannot) {
  const auto message = [](const std::string& path, const ModelMetadata& metadata) {
    return ModelWriter::Create(path, metadata, 0).status().message();
  };
  EXPECT_EQ(message(dir_.path(), TestMetadata()),
            dir_.path() + ": expected a file to replace or none, found a directory or device");
  EXPECT_TRUE(message(dir_ / "none/m.pglm", TestMetadata())
                  .ends_with(": cannot create: No such file or directory"));
  ModelMetadata huge = TestMetadata();
  huge.config.replace(huge.config.find("20,"), 3, "131072,");
  huge.config.replace(huge.config.find("37"), 2, "4194304");
  EXPECT_NE(message(path_, huge).find("bytes of free disk space, found "), std::string::npos);
  ModelMetadata wrong = TestMetadata();
  wrong.generation_config = "{";
  EXPECT_EQ(message(path_, wrong), path_ + ": generation_config: not valid JSON at byte 2");
  EXPECT_TRUE(dir_.Files().empty());
}

}  // namespace
}  // namespace pocketglm
