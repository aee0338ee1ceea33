// A whole file mapped read-only into memory.
//
// Pages are read on first touch and shared by all processes that map the same file. Truncating the
// file while it is mapped kills the reader (SIGBUS), as with every memory map: a model file is
// therefore replaced by renaming a new one over it, never rewritten in place.
#ifndef POCKETGLM_RUNTIME_MAPPED_FILE_H_
#define POCKETGLM_RUNTIME_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/status.h"

namespace pocketglm {

class MappedFile {
 public:
  // kNormal leaves read-ahead to the system; kSequential asks for more of it, for files that are
  // read once from front to back; kRepeated asks for huge pages, for files of gigabytes that are
  // read whole again and again. The system gives those where the file system has large folios, and
  // only to what it then reads from disk: pages that are in memory already stay as they are (see
  // ModelWriter::Write). One pair of runs of a 9B model, 7.27 and 7.44 tok/s, differs by less than
  // such runs do (Zen 4, 2 threads, 2026-11-25): what it is worth there is not known.
  enum class Access : uint8_t { kNormal, kSequential, kRepeated };

  // Anything but a regular file with at least one byte is an error.
  static StatusOr<MappedFile> Open(const std::string& path, Access access = Access::kNormal);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  // Page-aligned. Moving the MappedFile does not move the bytes.
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MAPPED_FILE_H_
