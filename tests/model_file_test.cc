#include "runtime/model_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/hash.h"
#include "runtime/model_writer.h"
#include "runtime/weights.h"
#include "tests/file_test_util.h"

namespace pocketglm {
namespace {

// hidden 20 and 3 heads of 6 leave no size a multiple of anything.
constexpr const char* kConfig = R"({"model_type":"glm4","num_hidden_layers":2,"hidden_size":20,
    "num_attention_heads":3,"num_key_value_heads":1,"head_dim":6,"intermediate_size":21,
    "vocab_size":37,"max_position_embeddings":64,"rms_norm_eps":1e-05,"attention_bias":true,
    "partial_rotary_factor":1.0})";

ModelMetadata TestMetadata(Quantization quantization = kF32Weights) {
  ModelMetadata metadata;
  metadata.config = kConfig;
  metadata.generation_config = R"({"do_sample":true,"temperature":0.8})";
  metadata.quantization = quantization;
  metadata.chat_format = "glm4";
  metadata.stop_ids = {3, 36};
  return metadata;
}

// Bytes that are never the same in two tensors, nor twice in one.
std::vector<uint8_t> BytesOf(const TensorSpec& spec) {
  std::vector<uint8_t> bytes(spec.bytes);
  uint32_t state = static_cast<uint32_t>(std::hash<std::string>()(spec.name)) | 1;
  for (uint8_t& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return bytes;
}

// Writes every tensor in pieces of at most `piece` bytes.
void WriteModel(const std::string& path, const ModelMetadata& metadata, size_t tokenizer_bytes,
                size_t piece = 1000) {
  auto writer = ModelWriter::Create(path, metadata, tokenizer_bytes);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  for (const TensorSpec& spec : writer->tensors()) {
    if (spec.kind == TensorKind::kPad) continue;
    const std::vector<uint8_t> bytes = BytesOf(spec);
    for (size_t begin = 0; begin < bytes.size(); begin += piece) {
      const size_t size = std::min(piece, bytes.size() - begin);
      const Status status = writer->Append(std::span(bytes).subspan(begin, size));
      ASSERT_TRUE(status.ok()) << status.message();
    }
  }
  const uint64_t file_bytes = writer->file_bytes();
  const Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::filesystem::file_size(path), file_bytes);
}

std::string OpenMessage(const std::string& path) {
  const auto model = OpenModelFile(path);
  return model.ok() ? "opened" : model.status().message();
}

// The header's JSON replaced by an edited one of the same length; hashes stay as they are.
void EditHeader(const std::string& path, const std::string& from, const std::string& to) {
  std::string bytes = ReadFile(path);
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof(length));
  std::string header = bytes.substr(8, length);
  const size_t position = header.find(from);
  ASSERT_NE(position, std::string::npos) << from;
  header.replace(position, from.size(), to);
  if (to.size() < from.size()) header.resize(length, ' ');
  for (size_t extra = header.size() - length; extra > 0; --extra) {
    ASSERT_EQ(header.back(), ' ');
    header.pop_back();
  }
  WriteFile(path, RawSafetensors(header, bytes.substr(8 + length)));
}

class ModelFileTest : public testing::Test {
 protected:
  ModelFileTest() : path_(dir_ / "m.pglm") {}

  TempDir dir_;
  std::string path_;
};

TEST_F(ModelFileTest, ReadsBackWhatWasWritten) {
  for (const Quantization quantization :
       {kF32Weights, kBf16Weights, Quantization{WeightType::kInt8, 32},
        Quantization{WeightType::kInt4, 64}, Quantization{WeightType::kInt4, 128}}) {
    for (const size_t tokenizer_bytes : {size_t{0}, size_t{64}, size_t{1001}}) {
      const ModelMetadata metadata = TestMetadata(quantization);
      WriteModel(path_, metadata, tokenizer_bytes);
      const auto model = OpenModelFile(path_);
      ASSERT_TRUE(model.ok()) << model.status().message();
      EXPECT_EQ(model->config.num_layers, 2u);
      EXPECT_TRUE(model->generation.do_sample);
      EXPECT_EQ(model->generation.temperature, 0.8f);
      EXPECT_EQ(model->metadata.config, metadata.config);
      EXPECT_EQ(model->metadata.generation_config, metadata.generation_config);
      EXPECT_EQ(model->metadata.quantization, quantization);
      EXPECT_EQ(model->metadata.chat_format, "glm4");
      EXPECT_EQ(model->metadata.stop_ids, (std::vector<int32_t>{3, 36}));
      size_t tensors = 0;
      for (const TensorSpec& spec : ModelTensors(model->config, quantization, tokenizer_bytes)) {
        const Tensor* tensor = model->tensors.Find(spec.name);
        ASSERT_NE(tensor, nullptr) << spec.name;
        const std::vector<uint8_t> found(tensor->data.begin(), tensor->data.end());
        const bool pad = spec.kind == TensorKind::kPad;
        EXPECT_EQ(found, pad ? std::vector<uint8_t>(spec.bytes) : BytesOf(spec)) << spec.name;
        ++tensors;
      }
      EXPECT_EQ(model->tensors.tensors().size(), tensors);
    }
  }
}

TEST_F(ModelFileTest, DataIsAligned) {
  WriteModel(path_, TestMetadata(), 1001);
  const auto model = OpenModelFile(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensors.data_start() % 65536, 0u);
  size_t pads = 0;
  for (const Tensor& tensor : model->tensors.tensors()) {
    if (tensor.name.starts_with("pad.")) {
      EXPECT_EQ(tensor.name, "pad." + std::to_string(pads));
      EXPECT_LT(tensor.data.size(), 64u);
      ++pads;
    } else {
      EXPECT_EQ(tensor.offset % 64, 0u) << tensor.name;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data.data()) % 64, 0u) << tensor.name;
    }
  }
  EXPECT_GT(pads, 0u);
  EXPECT_EQ(std::filesystem::file_size(path_) % 64, 0u);
}

TEST_F(ModelFileTest, SameInputGivesSameBytes) {
  WriteModel(path_, TestMetadata(), 100, 7);
  WriteModel(dir_ / "again", TestMetadata(), 100, 1 << 20);
  EXPECT_EQ(ReadFile(path_), ReadFile(dir_ / "again"));
}

TEST_F(ModelFileTest, FindsEveryDamagedTensor) {
  WriteModel(path_, TestMetadata(kBf16Weights), 100);
  const std::string good = ReadFile(path_);
  const auto model = OpenModelFile(path_);
  ASSERT_TRUE(model.ok());
  for (const Tensor& tensor : model->tensors.tensors()) {
    std::string bytes = good;
    bytes[tensor.offset + tensor.data.size() / 2] ^= 0x10;
    WriteFile(dir_ / "damaged", bytes);
    const std::string message = OpenMessage(dir_ / "damaged");
    const std::string start =
        (dir_ / "damaged") + ": tensor " + tensor.name + ": expected XXH3-128 ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    EXPECT_TRUE(message.ends_with(": the file is damaged")) << message;
  }
}

TEST_F(ModelFileTest, VerifiesLargeFilesOnlyWhenAsked) {
  ModelMetadata metadata = TestMetadata();
  const size_t vocab = metadata.config.find("37");
  metadata.config.replace(vocab, 2, "600000");
  metadata.stop_ids.clear();
  WriteModel(path_, metadata, 0, 1 << 20);
  ASSERT_GE(std::filesystem::file_size(path_), kVerifyAtOpenBytes);
  std::string bytes = ReadFile(path_);
  bytes[bytes.size() - 1000] ^= 1;
  WriteFile(path_, bytes);
  const auto model = OpenModelFile(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::vector<uint64_t> calls;
  const Status status = VerifyHashes(*model, [&](uint64_t done) { calls.push_back(done); });
  EXPECT_TRUE(status.message().starts_with(path_ + ": tensor lm_head: expected XXH3-128 "))
      << status.message();
  ASSERT_GT(calls.size(), 10u);
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  EXPECT_EQ(calls.back(), bytes.size() - model->tensors.data_start());
}

TEST_F(ModelFileTest, RefusesAnotherFormatVersion) {
  WriteModel(path_, TestMetadata(), 0);
  EditHeader(path_, R"("format_version":"1")", R"("format_version":"2")");
  EXPECT_EQ(OpenMessage(path_), path_ +
                                    ": this file has format version 2, newer than the 1 this "
                                    "program reads: please update PocketGLM");
  EditHeader(path_, R"("format_version":"2")", R"("format_version":"x")");
  EXPECT_EQ(OpenMessage(path_), path_ + ": format_version: expected 1, found x");
  WriteFile(path_, SafetensorsOf({{"t", "F32", {1}, {1.0f}}}));
  EXPECT_EQ(OpenMessage(path_),
            path_ +
                ": not a PocketGLM model: expected metadata format_version, found none "
                "(convert_glm makes a model of a Hugging Face directory)");
}

TEST_F(ModelFileTest, RefusesWrongMetadata) {
  const auto message = [&](const std::string& from, const std::string& to) {
    WriteModel(path_, TestMetadata(), 0);
    EditHeader(path_, from, to);
    return OpenMessage(path_);
  };
  EXPECT_EQ(message(R"("architecture":"glm4")", R"("architecture":"glm")"),
            path_ + ": metadata architecture: expected glm4 as in its config, found glm");
  EXPECT_EQ(
      message(R"("quantization":"f32")", R"("quantization":"q9")"),
      path_ +
          ": metadata quantization: expected one of f32, bf16, int8-g32, int8-g64, int8-g128, "
          "int4-g32, int4-g64, int4-g128, found q9");
  EXPECT_EQ(message(R"("quantization":"f32",)", ""),
            path_ + ": metadata quantization: expected a value, found none");
  EXPECT_EQ(message(R"("chat_format":"glm4",)", ""),
            path_ + ": metadata chat_format: expected a value, found none");
  EXPECT_EQ(message("[3,36]", "[3,37]"),
            path_ + ": metadata stop_ids: expected a list of token ids below 37, found [3,37]");
  EXPECT_EQ(message("[3,36]", "3"),
            path_ + ": metadata stop_ids: expected a list of token ids below 37, found 3");
  EXPECT_EQ(message(R"(\"model_type\":\"glm4\")", R"(\"model_type\":\"glm5\")"),
            path_ + ": config: model_type: expected glm or glm4, found glm5");
  EXPECT_EQ(message(R"(\"temperature\":0.8)", R"(\"temperature\":-.8)"),
            path_ + ": generation_config: not valid JSON at byte 34");
}

// What is legal and yet not what was written.
TEST_F(ModelFileTest, RefusesDamagedMetadata) {
  const std::pair<const char*, const char*> edits[] = {
      {R"(\"rms_norm_eps\":1e-05)", R"(\"rms_norm_eps\":1e-04)"},
      {R"(\"temperature\":0.8)", R"(\"temperature\":0.9)"},
      {R"("generation_config":)", R"("generation_confih":)"},
      {R"("chat_format":"glm4")", R"("chat_format":"glm")"},
      {"[3,36]", "[3,35]"}};
  for (const auto& [from, to] : edits) {
    SCOPED_TRACE(to);
    WriteModel(path_, TestMetadata(), 0);
    EditHeader(path_, from, to);
    const std::string message = OpenMessage(path_);
    EXPECT_TRUE(message.starts_with(path_ + ": metadata: expected XXH3-128 ")) << message;
    EXPECT_TRUE(message.ends_with(": the file is damaged")) << message;
  }
  WriteModel(path_, TestMetadata(), 0);
  EditHeader(path_, R"("xxh3_128":)", R"("xxh3_129":)");
  EXPECT_EQ(OpenMessage(path_), path_ + ": metadata xxh3_128: expected a value, found none");
}

TEST_F(ModelFileTest, RefusesTensorsTheConfigDoesNotCallFor) {
  const auto message = [&](const std::string& from, const std::string& to) {
    WriteModel(path_, TestMetadata(), 0);
    EditHeader(path_, from, to);
    return OpenMessage(path_);
  };
  EXPECT_EQ(message(R"("final_norm":{)", R"("fnal_norm":{)"),
            path_ + ": tensor final_norm: expected F32 [20], found none");
  EXPECT_EQ(message(R"("shape":[37,20])", R"("shape":[20,37])"),
            path_ + ": tensor embedding: expected F32 [37,20], found F32 [20,37]");
  EXPECT_EQ(message(R"("layers.0.down":{"dtype":"U8")", R"("layers.0.down":{"dtype":"I8")"),
            path_ + ": tensor layers.0.down: expected U8 [2688], found I8 [2688]");
  // One layer less in the config: the file holds more than it calls for.
  EXPECT_EQ(message(R"(\"num_hidden_layers\":2)", R"(\"num_hidden_layers\":1)"),
            path_ + ": tensor layers.1.input_norm: expected final_norm here, found it");
  EXPECT_EQ(message(R"(\"attention_bias\":true)", R"(\"attention_bias\":false)"),
            path_ + ": tensor layers.0.qkv_bias: expected layers.0.attention_out here, found it");
}

// A file of this version with a tensor more, which must be refused unless its name is reserved.
void AppendTensor(const std::string& path, const std::string& name) {
  const std::string bytes = ReadFile(path);
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof(length));
  const size_t data = bytes.size() - 8 - length;
  const std::string extra(64, 'x');
  Hasher hasher;
  hasher.Update(AsBytes(extra));
  std::string header = bytes.substr(8, length);
  header.resize(header.rfind('}'));
  header += ",\"" + name + R"(":{"dtype":"U8","shape":[64],"data_offsets":[)" +
            std::to_string(data) + "," + std::to_string(data + 64) + "]}}";
  header.resize(length, ' ');
  const std::string hashes = R"("__metadata__":{)";
  header.insert(header.find(hashes) + hashes.size(),
                "\"xxh3_128." + name + "\":\"" + hasher.Finish() + "\",");
  header.resize(length);  // Spaces go.
  WriteFile(path, RawSafetensors(header, bytes.substr(8 + length) + extra));
}

TEST_F(ModelFileTest, SkipsReservedTensorsAndNoOthers) {
  WriteModel(path_, TestMetadata(), 0);
  AppendTensor(path_, "vision.patch_embed");
  EXPECT_EQ(OpenMessage(path_), "opened");

  WriteModel(path_, TestMetadata(), 0);
  AppendTensor(path_, "adapter");
  EXPECT_EQ(OpenMessage(path_), path_ + ": tensor adapter: expected the end here, found it");
  WriteModel(path_, TestMetadata(), 0);
  AppendTensor(path_, "pad.99");
  EXPECT_EQ(OpenMessage(path_), path_ + ": tensor pad.99: expected the end here, found it");
}

TEST_F(ModelFileTest, RefusesUnalignedData) {
  WriteModel(path_, TestMetadata(), 0);
  const std::string bytes = ReadFile(path_);
  const size_t data = bytes.find_last_not_of(' ', 65535) + 1;
  ASSERT_LT(data, 65536u);
  WriteFile(path_, RawSafetensors(bytes.substr(8, data - 8), bytes.substr(65536)));
  EXPECT_EQ(OpenMessage(path_), path_ +
                                    ": expected tensor data at a multiple of 65536 bytes, found "
                                    "at byte " +
                                    std::to_string(data));
}

TEST_F(ModelFileTest, RefusesAnUnalignedTensor) {
  WriteModel(path_, TestMetadata(), 0);
  const auto model = OpenModelFile(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  // final_norm and the pad behind it change places.
  const Tensor& norm = *model->tensors.Find("final_norm");
  const Tensor& pad = *(&norm + 1);
  ASSERT_TRUE(pad.name.starts_with("pad."));
  const size_t begin = norm.offset - model->tensors.data_start();
  const auto offsets = [](size_t from, size_t size) {
    return "[" + std::to_string(from) + "," + std::to_string(from + size) + "]";
  };
  EditHeader(path_, offsets(begin, norm.data.size()),
             offsets(begin + pad.data.size(), norm.data.size()));
  EditHeader(path_, offsets(begin + norm.data.size(), pad.data.size()),
             offsets(begin, pad.data.size()));
  EXPECT_EQ(OpenMessage(path_), path_ +
                                    ": tensor final_norm: expected at a multiple of 64 bytes, "
                                    "found at byte " +
                                    std::to_string(norm.offset + pad.data.size()));
}

TEST_F(ModelFileTest, RefusesAWrongOrder) {
  WriteModel(path_, TestMetadata(), 0);
  // The same shape: only the place tells them apart.
  EditHeader(path_, R"("layers.0.input_norm":{)", R"("layers.1.input_nrm_":{)");
  EditHeader(path_, R"("layers.1.input_norm":{)", R"("layers.0.input_norm":{)");
  EditHeader(path_, R"("layers.1.input_nrm_":{)", R"("layers.1.input_norm":{)");
  EXPECT_EQ(OpenMessage(path_), path_ +
                                    ": tensor layers.1.input_norm: expected "
                                    "layers.0.input_norm here, found it");
}

TEST_F(ModelFileTest, RefusesATruncatedFile) {
  WriteModel(path_, TestMetadata(), 0);
  const std::string bytes = ReadFile(path_);
  WriteFile(path_, bytes.substr(0, bytes.size() - 1));
  EXPECT_NE(OpenMessage(path_).find("expected an end of at most"), std::string::npos)
      << OpenMessage(path_);
  WriteFile(path_, bytes.substr(0, 100));
  EXPECT_NE(OpenMessage(path_).find("or a truncated one"), std::string::npos);
}

TEST_F(ModelFileTest, AnUnfinishedFileLeavesNothingBehind) {
  {
    auto writer = ModelWriter::Create(path_, TestMetadata(), 0);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    ASSERT_TRUE(writer->Append(BytesOf(writer->tensors()[0])).ok());
    EXPECT_EQ(dir_.Files().size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(path_));
  }
  EXPECT_TRUE(dir_.Files().empty());
}

TEST_F(ModelFileTest, AFailedWriteLeavesTheOldFile) {
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

TEST_F(ModelFileTest, CreateSaysWhyItCannot) {
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

TEST_F(ModelFileTest, GivesTypedWeights) {
  WriteModel(path_, TestMetadata(kBf16Weights), 77);
  const auto model = LoadModel(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto is = [&](const void* data, const std::string& name) {
    return data == model->file.tensors.Find(name)->data.data();
  };
  const Weights& weights = model->weights;
  EXPECT_TRUE(is(weights.embedding.data, "embedding"));
  EXPECT_EQ(weights.embedding.rows, 37u);
  EXPECT_EQ(weights.embedding.cols, 20u);
  EXPECT_EQ(weights.embedding.type, WeightType::kBf16);
  ASSERT_EQ(weights.layers.size(), 2u);
  const LayerWeights& layer = weights.layers[1];
  EXPECT_TRUE(is(layer.input_norm, "layers.1.input_norm"));
  EXPECT_TRUE(is(layer.qkv.data, "layers.1.qkv"));
  EXPECT_EQ(layer.qkv.rows, 18u + 6 + 6);
  EXPECT_EQ(layer.qkv.cols, 20u);
  EXPECT_TRUE(is(layer.qkv_bias, "layers.1.qkv_bias"));
  EXPECT_TRUE(is(layer.attention_out.data, "layers.1.attention_out"));
  EXPECT_EQ(layer.attention_out.rows, 20u);
  EXPECT_EQ(layer.attention_out.cols, 18u);
  EXPECT_TRUE(is(layer.post_attention_norm, "layers.1.post_attention_norm"));
  EXPECT_TRUE(is(layer.mlp_norm, "layers.1.mlp_norm"));
  EXPECT_TRUE(is(layer.gate_up.data, "layers.1.gate_up"));
  EXPECT_EQ(layer.gate_up.rows, 64u);
  EXPECT_EQ(layer.gate_up.cols, 20u);
  EXPECT_TRUE(is(layer.down.data, "layers.1.down"));
  EXPECT_EQ(layer.down.rows, 20u);
  EXPECT_EQ(layer.down.cols, 21u);
  EXPECT_TRUE(is(layer.post_mlp_norm, "layers.1.post_mlp_norm"));
  EXPECT_TRUE(is(weights.final_norm, "final_norm"));
  EXPECT_TRUE(is(weights.lm_head.data, "lm_head"));
  EXPECT_EQ(weights.lm_head.rows, 37u);
  EXPECT_EQ(model->tokenizer().size(), 77u);
  EXPECT_EQ(model->stop_ids(), (std::vector<int32_t>{3, 36}));

  // Rows padded to 16, columns to 2, two bytes each; norms and biases four; one embedding row.
  const size_t layer_bytes = 2 * (32 * 20 + 32 * 18 + 64 * 20 + 32 * 22) + 4 * (4 * 20 + 30);
  EXPECT_EQ(weights.bytes_per_token, 2 * layer_bytes + 4 * 20 + 2 * 48 * 20 + 2 * 20);
}

TEST_F(ModelFileTest, GlmHasNoSandwichNorms) {
  ModelMetadata metadata = TestMetadata();
  metadata.config.replace(metadata.config.find("glm4"), 4, "glm");
  const size_t bias = metadata.config.find("\"attention_bias\":true");
  metadata.config.replace(bias + 17, 4, "false");
  WriteModel(path_, metadata, 0);
  const auto model = LoadModel(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const LayerWeights& layer = model->weights.layers[0];
  EXPECT_EQ(layer.qkv_bias, nullptr);
  EXPECT_EQ(layer.post_attention_norm, nullptr);
  EXPECT_EQ(layer.post_mlp_norm, nullptr);
  EXPECT_NE(layer.input_norm, nullptr);
  EXPECT_NE(layer.mlp_norm, nullptr);
  EXPECT_TRUE(model->tokenizer().empty());
}

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
