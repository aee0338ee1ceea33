// A folder that stands in for /, with the files of /proc and /sys that a test writes there.
#ifndef POCKETGLM_TESTS_FAKE_ROOT_H_
#define POCKETGLM_TESTS_FAKE_ROOT_H_

#include <filesystem>
#include <string>

#include "tests/file_test_util.h"

namespace pocketglm {

class FakeRoot {
 public:
  const std::string& path() const { return dir_.path(); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = dir_ / path;
    std::filesystem::create_directories(file.parent_path());
    WriteFile(file, text);
  }

 private:
  TempDir dir_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_FAKE_ROOT_H_
