// What the tests of files share: temporary folders, and a small writer of safetensors files that
// has nothing in common with the code under test.
#ifndef POCKETGLM_TESTS_FILE_TEST_UTIL_H_
#define POCKETGLM_TESTS_FILE_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/raw_file.h"

namespace pocketglm {

// A folder that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = testing::TempDir() + "/pocketglm_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& file) const { return path_ + "/" + file; }

  // The names of the files in it.
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

 private:
  std::string path_;
};

inline void WriteFile(const std::string& path, const std::string& bytes) {
  ASSERT_TRUE(SaveBytes(path, bytes)) << path;
}

inline std::string ReadFile(const std::string& path) {
  const std::optional<std::string> bytes = LoadBytes(path);
  EXPECT_TRUE(bytes.has_value()) << path;
  return bytes.value_or("");
}

// Where tests/data/`name` lies, and what it holds.
inline std::string TestDataPath(const std::string& name) { return POCKETGLM_TEST_DATA "/" + name; }
inline std::string ReadTestData(const std::string& name) { return ReadFile(TestDataPath(name)); }

inline std::span<const uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// f32 to the two bytes of bf16 or f16. The tests use values that both hold exactly.
inline std::string Bf16Bytes(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return {static_cast<char>(bits >> 16), static_cast<char>(bits >> 24)};
}

inline std::string F16Bytes(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t exponent = (bits >> 23) & 0xFF;
  uint32_t half = (bits >> 16) & 0x8000;
  if (exponent != 0) half |= ((exponent - 112) << 10) | ((bits >> 13) & 0x3FF);
  return {static_cast<char>(half), static_cast<char>(half >> 8)};
}

inline std::string F32Bytes(float value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

struct TestTensor {
  std::string name;
  std::string dtype;  // "F32", "F16", "BF16": how values are stored.
  std::vector<size_t> shape;
  std::vector<float> values;

  std::string Bytes() const {
    std::string bytes;
    for (const float value : values) {
      bytes +=
          dtype == "F32" ? F32Bytes(value) : (dtype == "F16" ? F16Bytes(value) : Bf16Bytes(value));
    }
    return bytes;
  }
};

inline std::string NumbersJson(const std::vector<size_t>& numbers) {
  std::string text = "[";
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) text += ",";
    text += std::to_string(numbers[i]);
  }
  return text + "]";
}

// A well-formed safetensors file.
inline std::string SafetensorsOf(const std::vector<TestTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::string data;
  for (const TestTensor& tensor : tensors) {
    const size_t begin = data.size();
    data += tensor.Bytes();
    header += ",\"" + tensor.name + "\":{\"dtype\":\"" + tensor.dtype +
              "\",\"shape\":" + NumbersJson(tensor.shape) + ",\"data_offsets\":[" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return RawSafetensors(header + "}", data);
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_FILE_TEST_UTIL_H_
