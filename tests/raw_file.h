// Whole files as strings, and safetensors files of any bytes, without GoogleTest: for the tests and
// for the programs of tests/fuzz.
#ifndef POCKETGLM_TESTS_RAW_FILE_H_
#define POCKETGLM_TESTS_RAW_FILE_H_

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace pocketglm {

// The bytes of a file; none where it cannot be read.
inline std::optional<std::string> LoadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return std::nullopt;
  return bytes;
}

// Writes a file, or replaces it; whether that went well.
inline bool SaveBytes(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file.good();
}

// A safetensors file of a header and data that need not fit together.
inline std::string RawSafetensors(std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes.append(header).append(data);
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_RAW_FILE_H_
