// Files that were damaged at hundreds of random places: whoever reads them either finds everything
// as it was or says which file is wrong. Sanitizer builds watch that nothing is read beyond a file.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/model_writer.h"
#include "runtime/synthetic_model.h"
#include "runtime/weights.h"
#include "tests/checkpoint_test_util.h"
#include "tests/program_test_util.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

std::string RandomBytes(size_t count, Random& random) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

// `bytes` with one thing wrong that starts somewhere before `end`.
std::string Damaged(const std::string& bytes, size_t end, Random& random) {
  const size_t at = random.Below(end);
  const size_t length = std::min(1 + random.Below(64), bytes.size() - at);
  std::string result = bytes;
  switch (random.Below(7)) {
    case 0:  // The most likely to be overlooked, hence twice.
    case 1:
      result[at] = static_cast<char>(result[at] ^ (1 << random.Below(8)));
      return result;
    case 2:
      return result.substr(0, at);
    case 3:
      return result.replace(at, length, RandomBytes(length, random));
    case 4:
      return result.replace(at, length, std::string(length, random.Below(2) == 0 ? '\0' : '\xff'));
    case 5:
      return result.erase(at, length);
    default:
      return result.insert(at, RandomBytes(length, random));
  }
}

// Where the header of a model file, less the spaces at its end, ends.
size_t HeaderEnd(const std::string& bytes) {
  return bytes.find_last_of('}', bytes.find(std::string(64, ' '))) + 1;
}

const SyntheticShape& TinyShape() {
  const std::span<const SyntheticShape> shapes = SyntheticShapes();
  return *std::find_if(shapes.begin(), shapes.end(),
                       [](const SyntheticShape& s) { return s.name == std::string("tiny"); });
}

void WriteTinyModel(const std::string& path, const Quantization& quantization) {
  const auto bytes = WriteSyntheticModel(TinyShape(), path, {.quantization = quantization});
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
}

// Opens all that a model file holds.
Status Open(const std::string& path, Model* model) {
  POCKETGLM_ASSIGN_OR_RETURN(*model, LoadModel(path));
  if (model->tokenizer().empty()) return {};
  return model->OpenTokenizer().status();
}

void ExpectSame(const Model& found, const Model& expected) {
  EXPECT_EQ(found.file.tensors.metadata(), expected.file.tensors.metadata());
  for (const Tensor& tensor : expected.file.tensors.tensors()) {
    const Tensor* same = found.file.tensors.Find(tensor.name);
    ASSERT_NE(same, nullptr) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(same->data, tensor.data)) << tensor.name;
  }
}

// Damages a model file over and over, every other time in its header.
void DamageModelFile(const std::string& path, int rounds) {
  const std::string good = ReadFile(path);
  ASSERT_LT(good.size(), kVerifyAtOpenBytes);
  Model expected;
  ASSERT_TRUE(Open(path, &expected).ok());
  const TempDir dir;
  const std::string bad = dir / "bad.pglm";
  Random random(1);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    WriteFile(bad, Damaged(good, round % 2 == 0 ? HeaderEnd(good) : good.size(), random));
    Model model;
    const Status status = Open(bad, &model);
    if (status.ok()) {
      ExpectSame(model, expected);
    } else {
      ++refused;
      EXPECT_TRUE(status.message().starts_with(bad + ": ")) << status.message();
    }
  }
  // What is not: spaces behind the header, and bytes replaced by themselves.
  EXPECT_GT(refused, rounds * 9 / 10);
}

TEST(DamageTest, ModelFile) {
  const TempDir dir;
  WriteTinyModel(dir / "m.pglm", {WeightType::kInt4, 64});
  DamageModelFile(dir / "m.pglm", 600);
}

TEST(DamageTest, DemoModel) {
  const TempDir dir;
  ConvertOptions options;
  options.quantization = {WeightType::kInt4, 64};
  ASSERT_TRUE(ConvertCheckpoint(TestDataPath("demo"), dir / "m.pglm", options).ok());
  DamageModelFile(dir / "m.pglm", 200);
}

// A checkpoint has no hashes: damaged weights that are still finite are converted. Then the model
// file must be a good one.
TEST(DamageTest, Checkpoint) {
  for (const size_t shards : {1, 2}) {
    const TempDir dir;
    TinyModel shape;
    shape.vocab = 900;
    WriteCheckpoint(dir, shape, MakeTensors(shape), shards);
    WriteFile(dir / "tokenizer.json", ReadTestData("tokenizer/splits.json"));
    WriteFile(dir / "generation_config.json",
              R"({"do_sample":true,"temperature":0.8,"top_p":0.9,"eos_token_id":[5,6]})");
    const std::vector<std::string> files = dir.Files();
    ASSERT_EQ(files.size(), shards == 1 ? 4u : 6u);
    Random random(shards);
    int refused = 0;
    for (const std::string& file : files) {
      const std::string good = ReadFile(dir / file);
      // Of a long file the head, where things are not alike, every other time.
      const size_t head = std::min(good.size(), size_t{2000});
      for (int round = 0; round < 120; ++round) {
        SCOPED_TRACE(file + " " + std::to_string(round));
        WriteFile(dir / file, Damaged(good, round % 2 == 0 ? head : good.size(), random));
        const auto result = Convert(dir);
        if (result.ok()) {
          Model model;
          const Status status = Open(dir / "out.pglm", &model);
          EXPECT_TRUE(status.ok()) << status.message();
          std::filesystem::remove(dir / "out.pglm");
        } else {
          ++refused;
          EXPECT_TRUE(result.status().message().starts_with(dir.path()))
              << result.status().message();
        }
        EXPECT_EQ(dir.Files().size(), files.size());
      }
      WriteFile(dir / file, good);
    }
    EXPECT_GT(refused, 100 * static_cast<int>(shards));
    EXPECT_TRUE(Convert(dir).ok());
  }
}

// An error of a program names the file; no other end but success is possible.
void ExpectErrorOrSuccess(const ProgramResult& result, const std::string& program,
                          const std::string& path) {
  if (result.exit_code != 0) ExpectError(result, program, path);
}

TEST(DamageTest, Programs) {
  const TempDir dir;
  const std::string path = dir / "m.pglm";
  WriteTinyModel(path, {WeightType::kInt4, 64});
  const std::string good = ReadFile(path);
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    WriteFile(path, Damaged(good, round % 2 == 0 ? HeaderEnd(good) : good.size(), random));
    ExpectErrorOrSuccess(RunProgram("run_glm", {"-m", path, "-p", "x", "-n", "2", "-t", "1"}),
                         "run_glm", path);
  }
  TinyModel shape;
  WriteCheckpoint(dir, shape, MakeTensors(shape));
  const std::string weights = ReadFile(dir / "model.safetensors");
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    WriteFile(dir / "model.safetensors", Damaged(weights, 2000, random));
    ExpectErrorOrSuccess(RunProgram("convert_glm", {dir.path(), "-o", dir / "out.pglm"}),
                         "convert_glm", dir.path());
  }
}

// Weights of any bits: a file above 64 MiB is not hashed when it is opened. The answer is worth
// nothing then, but it comes.
TEST(DamageTest, WeightsOfAnyBits) {
  const TempDir dir;
  Random random(4);
  for (const Quantization& quantization :
       {kF32Weights, kBf16Weights, Quantization{WeightType::kInt8, 32},
        Quantization{WeightType::kInt4, 64}}) {
    SCOPED_TRACE(QuantizationName(quantization));
    const std::string good = dir / "good.pglm";
    const std::string bad = dir / "bad.pglm";
    WriteTinyModel(good, quantization);
    const auto model = LoadModel(good);
    ASSERT_TRUE(model.ok()) << model.status().message();
    auto writer = ModelWriter::Create(bad, model->file.metadata, model->tokenizer().size());
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    for (const TensorSpec& spec : writer->tensors()) {
      if (spec.kind == TensorKind::kPad) continue;
      const std::string noise = RandomBytes(spec.bytes, random);
      const bool text = spec.kind == TensorKind::kTokenizer;
      ASSERT_TRUE(writer->Append(text ? model->tokenizer() : AsBytes(noise)).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{"--temp", "0"},
          {"--temp", "1"},
          {"--temp", "0.5", "--top-k", "40", "--top-p", "0.9", "--repeat-penalty", "1.1"}}) {
      std::vector<std::string> arguments = {"-m", bad, "-p", "x", "-n", "8"};
      arguments.insert(arguments.end(), flags.begin(), flags.end());
      const ProgramResult result = RunProgram("run_glm", arguments);
      EXPECT_EQ(result.exit_code, 0) << result.err;
    }
  }
}

TEST(DamageTest, FilesOfOtherKinds) {
  const TempDir dir;
  const std::string rest(5000, 'x');
  const std::pair<const char*, std::string> foreign[] = {
      {"png", "\x89PNG\r\n\x1a\n" + std::string("\0\0\0\rIHDR", 8) + rest},
      {"gguf", "GGUF" + std::string("\x03\0\0\0", 4) + rest},
      {"pickle", "\x80\x02}q" + std::string("\0X", 2) + rest},
      {"zip", "PK\x03\x04" + rest},
      {"gzip", "\x1f\x8b\x08" + std::string("\0\0\0\0\0", 5) + rest},
      {"elf", ReadFile(POCKETGLM_BIN_DIR "/run_glm").substr(0, 100000)},
      {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"},
      {"html", "<!DOCTYPE html><html>404</html>"},
      {"json", "{\"model_type\": \"glm4\"}"},
      {"zeros", std::string(100000, '\0')},
      {"ones", std::string(100000, '\xff')},
      {"byte", "x"},
      {"empty", ""},
  };
  for (const auto& [kind, bytes] : foreign) {
    SCOPED_TRACE(kind);
    const std::string model = dir / kind;
    WriteFile(model, bytes);
    ExpectError(RunProgram("run_glm", {"-m", model, "-p", "x"}), "run_glm", model + ": ");
    // As each file of a checkpoint. A template may be any text.
    for (const std::string file : {"model.safetensors", "config.json", "tokenizer.json",
                                   "generation_config.json", "model.safetensors.index.json"}) {
      SCOPED_TRACE(file);
      const TempDir checkpoint;
      const bool sharded = file == "model.safetensors.index.json";
      WriteCheckpoint(checkpoint, {}, MakeTensors({}), sharded ? 2 : 1);
      if (file == "generation_config.json" && kind == std::string("json")) continue;
      WriteFile(checkpoint / file, bytes);
      ExpectError(RunProgram("convert_glm", {checkpoint.path(), "-o", dir / "out.pglm"}),
                  "convert_glm", checkpoint / file);
    }
  }
}

TEST(DamageTest, NoRegularFiles) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  for (const std::string& path : {dir.path(), dir / "pipe", std::string("/dev/null"),
                                  std::string("/dev/zero"), dir / "none", dir / "none/none"}) {
    SCOPED_TRACE(path);
    ExpectError(RunProgram("run_glm", {"-m", path, "-p", "x"}), "run_glm", path + ": ");
    ExpectError(RunProgram("eval_glm", {"-m", path, "--tokens", "1"}), "eval_glm", path + ": ");
    if (path == dir.path()) continue;
    ExpectError(RunProgram("convert_glm", {path, "-o", dir / "out.pglm"}), "convert_glm",
                path + ": ");
  }
}

}  // namespace
}  // namespace pocketglm
