#include "runtime/safetensors.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "runtime/mapped_file.h"
#include "tests/file_test_util.h"

namespace pocketglm {
namespace {

std::string Entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(SafetensorsTest, ReadsTensorsInTheOrderOfTheirData) {
  const std::string bytes =
      RawSafetensors(R"({"a":)" + Entry("F32", "[2,1]", "[4,12]") + R"(,"b":)" +
                         Entry("BF16", "[2]", "[0,4]") + R"(,"__metadata__":{"k":"v"}})" + "   ",
                     "0123456789ab");
  const auto file = Safetensors::Parse(AsBytes(bytes), "f");
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(file->tensors()[0].dtype, Dtype::kBf16);
  EXPECT_EQ(file->tensors()[1].name, "a");
  EXPECT_EQ(file->tensors()[1].shape, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"k", "v"}}));

  const Tensor* a = file->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(std::string(a->data.begin(), a->data.end()), "456789ab");
  EXPECT_EQ(file->data_start(), bytes.size() - 12);
  EXPECT_EQ(a->offset, file->data_start() + 4);
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(SafetensorsTest, ReadsScalarsAndEmptyTensors) {
  const std::string bytes = RawSafetensors(R"({"scalar":)" + Entry("F32", "[]", "[0,4]") +
                                               R"(,"none":)" + Entry("F16", "[0,7]", "[4,4]") + "}",
                                           "0123");
  const auto file = Safetensors::Parse(AsBytes(bytes), "f");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->Find("scalar")->data.size(), 4u);
  EXPECT_EQ(file->Find("none")->data.size(), 0u);
}

TEST(SafetensorsTest, ReadsAFileWithoutTensors) {
  const std::string bytes = RawSafetensors("{}", "");
  const auto file = Safetensors::Parse(AsBytes(bytes), "f");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->tensors().empty());
}

// What this project does not read may stand in a file.
TEST(SafetensorsTest, KeepsTheNamesOfOtherDtypes) {
  const std::string bytes = RawSafetensors(R"({"ids":)" + Entry("I64", "[1]", "[0,8]") +
                                               R"(,"tiny":)" + Entry("F4", "[3]", "[8,10]") + "}",
                                           "0123456789");
  const auto file = Safetensors::Parse(AsBytes(bytes), "f");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->Find("ids")->dtype, Dtype::kOther);
  EXPECT_EQ(file->Find("ids")->dtype_name, "I64");
  EXPECT_EQ(file->Find("tiny")->dtype_name, "F4");
}

TEST(SafetensorsTest, NamesDtypesAsTheHeaderDoes) {
  EXPECT_STREQ(DtypeName(Dtype::kBf16), "BF16");
  EXPECT_EQ(DtypeBytes(Dtype::kBf16), 2u);
  EXPECT_EQ(DtypeBytes(Dtype::kF32), 4u);
  EXPECT_EQ(ShapeText("U8", {131072}), "U8 [131072]");
}

struct BadFile {
  const char* name;
  std::string bytes;
  std::string message;
};

void PrintTo(const BadFile& file, std::ostream* out) { *out << file.name; }

std::vector<BadFile> BadFiles() {
  const std::string length_of_1e12("\x00\x10\xa5\xd4\xe8\x00\x00\x00", 8);
  const std::string deep(1000, '[');
  const auto one = [](const std::string& entry) { return R"({"t":)" + entry + "}"; };
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":)" + a + R"(,"b":)" + b + "}";
  };
  return {
      {"TooShort", "1234567", "f: not a safetensors file: expected at least 8 bytes, found 7"},
      {"LengthBeyondFile", RawSafetensors("{}", "").substr(0, 9),
       "f: not a safetensors file, or a truncated one: expected a header of at most 1 bytes, found "
       "a length of 2"},
      {"LengthAbsurd", length_of_1e12 + "{}",
       "f: not a safetensors file, or a truncated one: expected a header of at most 2 bytes, found "
       "a length of 1000000000000"},
      {"LengthAllOnes", std::string(8, '\xff') + "{}",
       "f: not a safetensors file, or a truncated one: expected a header of at most 2 bytes, found "
       "a length of 18446744073709551615"},
      {"EmptyHeader", RawSafetensors("", ""), "f: header: not valid JSON at byte 1"},
      {"BadJson", RawSafetensors(R"({"t":})", ""), "f: header: not valid JSON at byte 6"},
      {"TrailingJson", RawSafetensors("{}{}", ""), "f: header: not valid JSON at byte 3"},
      {"BadUtf8", RawSafetensors("{\"\xff\":{}}", ""), "f: header: not valid JSON at byte 3"},
      {"DeepJson", RawSafetensors(deep, ""), "f: header: JSON is nested deeper than 32 levels"},
      {"NotAnObject", RawSafetensors("[]", ""), "f: header: expected a JSON object, found []"},
      {"DuplicateName", RawSafetensors(two(Entry("U8", "[1]", "[0,1]"), R"(1,"a":2)"), "0"),
       "f: header: key \"a\" occurs twice"},
      {"DuplicateField", RawSafetensors(one(R"({"dtype":"U8","dtype":"U8"})"), ""),
       "f: header: key \"dtype\" occurs twice"},
      {"EntryNotAnObject", RawSafetensors(one("7"), ""),
       "f: tensor t: expected an object, found 7"},
      {"NoDtype", RawSafetensors(one(R"({"shape":[1],"data_offsets":[0,1]})"), "0"),
       "f: tensor t: dtype: expected a string, found nothing"},
      {"DtypeNotAString", RawSafetensors(one(R"({"dtype":8})"), "0"),
       "f: tensor t: dtype: expected a string, found 8"},
      {"NoShape", RawSafetensors(one(R"({"dtype":"U8","data_offsets":[0,1]})"), "0"),
       "f: tensor t: shape: expected a list of non-negative integers, found nothing"},
      {"NegativeShape", RawSafetensors(one(Entry("U8", "[-1]", "[0,1]")), "0"),
       "f: tensor t: shape: expected a list of non-negative integers, found [-1]"},
      {"FractionalShape", RawSafetensors(one(Entry("U8", "[1.0]", "[0,1]")), "0"),
       "f: tensor t: shape: expected a list of non-negative integers, found [1.0]"},
      {"ShapeBeyond64Bits",
       RawSafetensors(one(Entry("U8", "[18446744073709551616]", "[0,1]")), "0"),
       "f: tensor t: shape: expected a list of non-negative integers, found "
       "[1.8446744073709552e+19]"},
      {"ShapeProductOverflows",
       RawSafetensors(one(Entry("U8", "[4294967296,4294967296]", "[0,0]")), ""),
       "f: tensor t: shape U8 [4294967296,4294967296] exceeds 64 bits"},
      {"ShapeBytesOverflow",
       RawSafetensors(one(Entry("F32", "[4611686018427387904]", "[0,0]")), ""),
       "f: tensor t: shape F32 [4611686018427387904] exceeds 64 bits"},
      {"NoOffsets", RawSafetensors(one(R"({"dtype":"U8","shape":[1]})"), "0"),
       "f: tensor t: data_offsets: expected two non-negative integers, found nothing"},
      {"ThreeOffsets", RawSafetensors(one(Entry("U8", "[1]", "[0,1,2]")), "0"),
       "f: tensor t: data_offsets: expected [begin, end] with begin <= end, found [0,1,2]"},
      {"BackwardOffsets", RawSafetensors(one(Entry("U8", "[1]", "[1,0]")), "0"),
       "f: tensor t: data_offsets: expected [begin, end] with begin <= end, found [1,0]"},
      {"EndOutOfRange", RawSafetensors(one(Entry("U8", "[2]", "[0,2]")), "0"),
       "f: tensor t: data_offsets: expected an end of at most 1 (the file's data), found 2"},
      {"Truncated", RawSafetensors(one(Entry("F32", "[2]", "[0,8]")), "0123456"),
       "f: tensor t: data_offsets: expected an end of at most 7 (the file's data), found 8"},
      {"SizeDiffersFromShape", RawSafetensors(one(Entry("BF16", "[3]", "[0,4]")), "0123"),
       "f: tensor t: expected 6 bytes for BF16 [3], found 4"},
      {"Overlap",
       RawSafetensors(two(Entry("U8", "[3]", "[0,3]"), Entry("U8", "[2]", "[2,4]")), "0123"),
       "f: tensor b: expected its data at offset 3, found 2 (tensors overlap)"},
      {"SameData",
       RawSafetensors(two(Entry("U8", "[3]", "[0,3]"), Entry("U8", "[3]", "[0,3]")), "012"),
       "f: tensor b: expected its data at offset 3, found 0 (tensors overlap)"},
      {"Hole",
       RawSafetensors(two(Entry("U8", "[1]", "[0,1]"), Entry("U8", "[2]", "[2,4]")), "0123"),
       "f: tensor b: expected its data at offset 1, found 2 (a hole before it)"},
      {"TrailingBytes", RawSafetensors(one(Entry("U8", "[1]", "[0,1]")), "01"),
       "f: expected 1 bytes of tensor data, found 2"},
      {"MetadataNotAnObject", RawSafetensors(R"({"__metadata__":"x"})", ""),
       "f: __metadata__: expected an object, found \"x\""},
      {"MetadataNotAString", RawSafetensors(R"({"__metadata__":{"k":1}})", ""),
       "f: __metadata__ k: expected a string, found 1"},
      {"NameWithControlCharacters", RawSafetensors("{\"\\u001b[31m\":7}", ""),
       "f: tensor \\u001b[31m: expected an object, found 7"},
  };
}

class BadSafetensorsTest : public testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensorsTest, IsRefusedWithTheReason) {
  const auto file = Safetensors::Parse(AsBytes(GetParam().bytes), "f");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(, BadSafetensorsTest, testing::ValuesIn(BadFiles()),
                         [](const testing::TestParamInfo<BadFile>& file) {
                           return std::string(file.param.name);
                         });

// Whatever a byte is changed to, the parser must stay inside the file. Sanitizer builds check that.
TEST(SafetensorsTest, SurvivesEveryChangedByte) {
  const std::string good = RawSafetensors(R"({"a":)" + Entry("F32", "[1]", "[0,4]") + R"(,"b":)" +
                                              Entry("BF16", "[2,2]", "[4,12]") + "}",
                                          "0123456789ab");
  size_t refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(value);
      const auto file = Safetensors::Parse(AsBytes(bytes), "f");
      if (!file.ok()) {
        ++refused;
        continue;
      }
      for (const Tensor& tensor : file->tensors()) {
        ASSERT_LE(tensor.offset + tensor.data.size(), bytes.size());
      }
    }
    const std::string truncated = good.substr(0, i);
    EXPECT_FALSE(Safetensors::Parse(AsBytes(truncated), "f").ok()) << i;
  }
  EXPECT_GT(refused, good.size());
}

TEST(MappedFileTest, MapsAWholeFile) {
  const TempDir dir;
  WriteFile(dir / "f", "some bytes");
  auto file = MappedFile::Open(dir / "f");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const uint8_t* data = file->bytes().data();
  const MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.text(), "some bytes");
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(moved.path(), dir / "f");
}

TEST(MappedFileTest, RefusesWhatIsNoFile) {
  const TempDir dir;
  WriteFile(dir / "empty", "");
  EXPECT_EQ(MappedFile::Open(dir / "empty").status().message(),
            (dir / "empty") + ": the file is empty");
  EXPECT_EQ(MappedFile::Open(dir / "none").status().message(),
            (dir / "none") + ": cannot open: No such file or directory");
  EXPECT_EQ(MappedFile::Open(dir.path()).status().message(),
            dir.path() + ": expected a file, found a directory");
  EXPECT_EQ(MappedFile::Open("/dev/null").status().message(),
            "/dev/null: expected a regular file, found a device, pipe or socket");
}

}  // namespace
}  // namespace pocketglm
