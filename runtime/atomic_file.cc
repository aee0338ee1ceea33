#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace pocketglm {
namespace {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A full disk is better found before an hour of work than after it.
Status CheckRoom(int fd, const std::string& path, uint64_t bytes) {
  struct statvfs disk = {};
  if (fstatvfs(fd, &disk) != 0) return SystemError(path, "inspect its file system");
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free_bytes >= bytes) return {};
  return Status::Error(path + ": expected " + std::to_string(bytes) +
                       " bytes of free disk space, found " + std::to_string(free_bytes));
}

// Makes a rename survive a power failure.
Status SyncDirectory(const std::string& path) {
  const int fd = open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, "open its directory");
  // EINVAL: this file system does not sync directories.
  const bool synced = fsync(fd) == 0 || errno == EINVAL;
  const Status status = synced ? Status() : SystemError(path, "sync its directory");
  close(fd);
  return status;
}

}  // namespace

StatusOr<AtomicFile> AtomicFile::Create(const std::string& path, uint64_t bytes) {
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return Status::Error(path +
                         ": expected a file to replace or none, found a directory or device");
  }
  AtomicFile file;
  // A process that was killed may have left a file of this name: in containers numbers recur.
  std::string temporary_path;
  for (int number = getpid(); file.fd_ < 0; ++number) {
    temporary_path = path + ".tmp-" + std::to_string(number);
    file.fd_ = open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd_ < 0 && errno != EEXIST) return SystemError(temporary_path, "create");
  }
  file.path_ = path;
  file.temporary_path_ = temporary_path;
  POCKETGLM_RETURN_IF_ERROR(CheckRoom(file.fd_, path, bytes));
  return file;
}

Status CheckDiffers(const std::string& output, const std::string& input) {
  std::error_code error;
  if (!std::filesystem::equivalent(output, input, error)) return {};
  return Status::Error(output + ": expected an output other than the input " + input +
                       ", found the same file");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

Status AtomicFile::WriteAt(uint64_t offset, std::span<const uint8_t> bytes) {
  assert(fd_ >= 0);
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError(path_, "write " + std::to_string(bytes.size()) + " bytes");
    }
    offset += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status AtomicFile::Commit() {
  assert(fd_ >= 0);
  if (fsync(fd_) != 0) return SystemError(path_, "sync");
  // Some file systems report a failed write only here.
  if (close(std::exchange(fd_, -1)) != 0) return SystemError(path_, "close");
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) return SystemError(path_, "rename");
  temporary_path_.clear();
  return SyncDirectory(path_);
}

}  // namespace pocketglm
