#include "runtime/model_file.h"

#include "tests/model_file_test_util.h"

namespace pocketglm {
namespace {

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

}  // namespace
}  // namespace pocketglm
