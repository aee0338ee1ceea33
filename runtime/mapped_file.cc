#include "runtime/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

namespace pocketglm {
namespace {

// Maps the open file `fd`; the mapping outlives the descriptor.
StatusOr<std::span<const uint8_t>> MapDescriptor(int fd, const std::string& path) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) return SystemError(path, "inspect");
  if (S_ISDIR(info.st_mode)) {
    return Status::Error(path + ": expected a file, found a directory");
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Error(path + ": expected a regular file, found a device, pipe or socket");
  }
  if (info.st_size == 0) return Status::Error(path + ": the file is empty");
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size > std::numeric_limits<size_t>::max()) {
    return Status::Error(path + ": " + std::to_string(size) +
                         " bytes do not fit the address space");
  }
  void* data = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return SystemError(path, "map " + std::to_string(size) + " bytes");
  return std::span<const uint8_t>(static_cast<const uint8_t*>(data), static_cast<size_t>(size));
}

// Only advice: a failure costs speed, not correctness.
void Advise(std::span<const uint8_t> bytes, MappedFile::Access access) {
  void* const data = const_cast<uint8_t*>(bytes.data());
  switch (access) {
    case MappedFile::Access::kNormal:
      break;
    case MappedFile::Access::kSequential:
      (void)madvise(data, bytes.size(), MADV_SEQUENTIAL);
      break;
    case MappedFile::Access::kRepeated:
#if defined(MADV_HUGEPAGE)  // Linux.
      (void)madvise(data, bytes.size(), MADV_HUGEPAGE);
#endif
      break;
  }
}

}  // namespace

StatusOr<MappedFile> MappedFile::Open(const std::string& path, Access access) {
  // O_NONBLOCK: opening a pipe must not wait for a writer before the pipe is refused.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "open");
  const auto mapped = MapDescriptor(fd, path);
  close(fd);
  if (!mapped.ok()) return mapped.status();

  MappedFile file;
  file.path_ = path;
  file.data_ = mapped->data();
  file.size_ = mapped->size();
  Advise(file.bytes(), access);
  return file;
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
}

}  // namespace pocketglm
