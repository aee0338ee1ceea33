// replay FILE|FOLDER...: gives a fuzz target the inputs that are there, in builds without
// libFuzzer.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "tests/raw_file.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const char* argument : std::vector<const char*>(argv + 1, argv + argc)) {
    if (!fs::is_directory(argument)) {
      files.emplace_back(argument);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(argument)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& path : files) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);  // The last line names the input that a crash is about.
    const std::optional<std::string> bytes = pocketglm::LoadBytes(path);
    POCKETGLM_REQUIRE(bytes.has_value());
    // A copy of its very size: AddressSanitizer then sees the first byte read beyond it.
    const std::vector<uint8_t> input(bytes->begin(), bytes->end());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  if (!files.empty()) return 0;
  std::fprintf(stderr, "expected inputs, found none\n");
  return 1;
}
