// What the tests of writing and reading model files share: a small model whose tensors hold known
// bytes.
#ifndef POCKETGLM_TESTS_MODEL_FILE_TEST_UTIL_H_
#define POCKETGLM_TESTS_MODEL_FILE_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/model_writer.h"
#include "tests/file_test_util.h"

namespace pocketglm {

// hidden 20 and 3 heads of 6 leave no size a multiple of anything.
inline constexpr const char* kConfig =
    R"({"model_type":"glm4","num_hidden_layers":2,"hidden_size":20,
    "num_attention_heads":3,"num_key_value_heads":1,"head_dim":6,"intermediate_size":21,
    "vocab_size":37,"max_position_embeddings":64,"rms_norm_eps":1e-05,"attention_bias":true,
    "partial_rotary_factor":1.0})";

inline ModelMetadata TestMetadata(Quantization quantization = kF32Weights) {
  ModelMetadata metadata;
  metadata.config = kConfig;
  metadata.generation_config = R"({"do_sample":true,"temperature":0.8})";
  metadata.quantization = quantization;
  metadata.chat_format = "glm4";
  metadata.stop_ids = {3, 36};
  return metadata;
}

// Bytes that are never the same in two tensors, nor twice in one.
inline std::vector<uint8_t> BytesOf(const TensorSpec& spec) {
  std::vector<uint8_t> bytes(spec.bytes);
  uint32_t state = static_cast<uint32_t>(std::hash<std::string>()(spec.name)) | 1;
  for (uint8_t& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return bytes;
}

// Writes every tensor in pieces of at most `piece` bytes.
inline void WriteModel(const std::string& path, const ModelMetadata& metadata,
                       const std::vector<uint8_t>& tokenizer, size_t piece = 1000) {
  auto writer = ModelWriter::Create(path, metadata, tokenizer.size());
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  for (const TensorSpec& spec : writer->tensors()) {
    if (spec.kind == TensorKind::kPad) continue;
    const std::vector<uint8_t> bytes =
        spec.kind == TensorKind::kTokenizer ? tokenizer : BytesOf(spec);
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

// The same with a tokenizer that is none.
inline void WriteModel(const std::string& path, const ModelMetadata& metadata,
                       size_t tokenizer_bytes, size_t piece = 1000) {
  WriteModel(path, metadata,
             BytesOf({.name = "tokenizer", .shape = {tokenizer_bytes}, .bytes = tokenizer_bytes}),
             piece);
}

class ModelFileTest : public testing::Test {
 protected:
  ModelFileTest() : path_(dir_ / "m.pglm") {}

  TempDir dir_;
  std::string path_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_MODEL_FILE_TEST_UTIL_H_
