// make_fuzz_seeds DATA OUTPUT: writes a folder of inputs for each fuzz target below OUTPUT, from
// tests/data and models of a few rows.
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/model_writer.h"
#include "runtime/synthetic_tokenizer.h"
#include "runtime/tokenizer_json.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/raw_file.h"

namespace pocketglm {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  const std::string bytes = LoadBytes(path).value_or("");
  POCKETGLM_REQUIRE(!bytes.empty());
  return bytes;
}

void Write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  POCKETGLM_REQUIRE(SaveBytes(path, bytes));
}

std::string_view AsText(std::span<const uint8_t> bytes) {
  return pocketglm::AsText(bytes.data(), bytes.size());
}

void WriteSafetensors(const fs::path& data, const fs::path& output) {
  Write(output / "empty", RawSafetensors("{}", ""));
  Write(output / "types",
        RawSafetensors(R"({"__metadata__":{"format":"pt"},)"
                       R"("a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},)"
                       R"("b":{"dtype":"F32","shape":[],"data_offsets":[4,8]},)"
                       R"("c":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[8,9]},)"
                       R"("d":{"dtype":"U8","shape":[0,7],"data_offsets":[9,9]}}  )",
                       "123456789"));
  const fs::path golden = data / "golden";
  Write(output / "shard", Read(golden / "glm_tied" / "model-00003-of-00003.safetensors"));
}

void WriteConfigs(const fs::path& data, const fs::path& output) {
  for (const auto& model : fs::directory_iterator(data / "golden")) {
    if (!model.is_directory()) continue;
    Write(output / model.path().filename(), Read(model.path() / "config.json"));
  }
  Write(output / "demo", Read(data / "demo" / "config.json"));
  Write(output / "generation", Read(data / "demo" / "generation_config.json"));
}

void WriteTokenizers(const fs::path& data, const fs::path& json_output,
                     const fs::path& blob_output) {
  for (const char* name : {"plain", "splits"}) {
    const std::string json = Read(data / "tokenizer" / (std::string(name) + ".json"));
    Write(json_output / name, json);
    const auto blob = CompileTokenizer(json, name);
    POCKETGLM_REQUIRE(blob.ok());
    Write(blob_output / name, AsText(*blob));
  }
  Write(blob_output / "synthetic", AsText(MakeSyntheticTokenizer(kSyntheticMinTokens)));
}

// A model file whose weights are all of one byte, and finite in every type, without the spaces that
// pad its header. The vocabulary has room for the smallest synthetic tokenizer.
void WriteModel(const fs::path& output, const char* architecture, Quantization quantization,
                std::span<const uint8_t> tokenizer) {
  const std::string vocab_size = tokenizer.empty() ? "7" : "270";
  ModelMetadata metadata;
  metadata.config = std::string(R"({"model_type":")") + architecture +
                    R"(","num_hidden_layers":1,"hidden_size":6,"num_attention_heads":2,)"
                    R"("num_key_value_heads":1,"head_dim":4,"intermediate_size":5,)"
                    R"("max_position_embeddings":64,"rms_norm_eps":1e-05,"vocab_size":)" +
                    vocab_size + "}";
  metadata.generation_config = R"({"do_sample":true,"temperature":0.8,"top_p":0.9})";
  metadata.quantization = quantization;
  metadata.chat_format = "glm4";
  metadata.stop_ids = {3};

  auto writer = ModelWriter::Create(output, metadata, tokenizer.size());
  POCKETGLM_REQUIRE(writer.ok());
  for (const TensorSpec& spec : writer->tensors()) {
    if (spec.kind == TensorKind::kPad) continue;
    const std::vector<uint8_t> weights(spec.bytes, 0x3C);
    const bool is_tokenizer = spec.kind == TensorKind::kTokenizer;
    POCKETGLM_REQUIRE(writer->Append(is_tokenizer ? tokenizer : weights).ok());
  }
  POCKETGLM_REQUIRE(writer->Finish().ok());

  const std::string file = Read(output);
  const size_t data_start = file.find_first_not_of(' ', file.rfind("}}  ") + 2);
  const std::string header =
      file.substr(sizeof(uint64_t), file.rfind("}}  ") + 2 - sizeof(uint64_t));
  Write(output, RawSafetensors(header, file.substr(data_start)));
}

void WriteModels(const fs::path& output) {
  fs::create_directories(output);
  for (const Quantization quantization :
       {kF32Weights, kBf16Weights, Quantization{WeightType::kInt8, 32},
        Quantization{WeightType::kInt4, 32}, Quantization{WeightType::kInt4, 64}}) {
    WriteModel(output / QuantizationName(quantization), "glm4", quantization, {});
  }
  WriteModel(output / "glm", "glm", {WeightType::kInt4, 128}, {});
  WriteModel(output / "tokenizer", "glm", {WeightType::kInt4, 32},
             MakeSyntheticTokenizer(kSyntheticMinTokens));
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_fuzz_seeds DATA OUTPUT\n");
    return 2;
  }
  const std::filesystem::path data = argv[1];
  const std::filesystem::path output = argv[2];
  pocketglm::WriteSafetensors(data, output / "safetensors");
  pocketglm::WriteConfigs(data, output / "model_config");
  pocketglm::WriteTokenizers(data, output / "tokenizer_json", output / "tokenizer_blob");
  pocketglm::WriteModels(output / "model_file");
}
