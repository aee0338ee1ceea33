// A file that appears under its final name complete, or not at all.
//
// It grows under a temporary name in the same directory, PATH.tmp-PID, is synced to disk and then
// renamed; whoever has the old file open or mapped keeps it. A process that is killed leaves the
// temporary file behind; it disturbs nobody and may be deleted.
#ifndef POCKETGLM_RUNTIME_ATOMIC_FILE_H_
#define POCKETGLM_RUNTIME_ATOMIC_FILE_H_

#include <cstdint>
#include <span>
#include <string>

#include "runtime/status.h"

namespace pocketglm {

class AtomicFile {
 public:
  // Refuses a path that names something other than a regular file, and a disk without room for
  // `bytes`.
  static StatusOr<AtomicFile> Create(const std::string& path, uint64_t bytes);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();  // Removes the temporary file unless committed.

  const std::string& path() const { return path_; }

  // Bytes never written in between are zero.
  Status WriteAt(uint64_t offset, std::span<const uint8_t> bytes);

  // Gives the file its name. Nothing can be written afterwards.
  Status Commit();

 private:
  AtomicFile() = default;

  std::string path_;
  std::string temporary_path_;  // Empty once committed or moved from.
  int fd_ = -1;
};

// An error if both paths lead to the same file: it would be replaced by what was made of it.
Status CheckDiffers(const std::string& output, const std::string& input);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_ATOMIC_FILE_H_
